"""What a provider sends by itself: a reason to ask it, and nothing more."""

import logging
import time
from collections.abc import Mapping
from contextlib import suppress

from shared.killpoints import killpoint
from vps_service.db import Sessions
from vps_service.payments import queries
from vps_service.payments.errors import BadWebhook, PaymentMismatch
from vps_service.payments.providers import Provider
from vps_service.payments.settlement import ask_and_settle

log = logging.getLogger(__name__)


async def receive_webhook(
    sessions: Sessions,
    provider: Provider | None,
    provider_name: str,
    headers: Mapping[str, str],
    body: bytes,
    fee_percent: int,
) -> None:
    """Returns when the provider need not send this again. Raises BadWebhook, ProviderUnreachable."""
    if provider is None or provider.name != provider_name:
        raise BadWebhook
    ref = provider.ref_of_webhook(headers, body, time.time())
    async with sessions() as session:
        payment = await queries.by_provider_ref(session, provider.name, ref)
    if payment is None:
        log.warning("webhook about a checkout unknown here", extra={"provider": provider.name, "ref": ref})
        return
    with suppress(PaymentMismatch):  # it is in the log, and the same message again would change nothing
        await ask_and_settle(sessions, provider, payment.id, fee_percent)
    killpoint("webhook.before_answer")
