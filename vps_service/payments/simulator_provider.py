"""The local payment simulator as a provider, spoken to over HTTP as a real one would be."""

from collections.abc import Mapping
from uuid import UUID

import httpx
from pydantic import ValidationError

from shared.authorities import trusted
from shared.calling import NO_ANSWER
from vps_service import standard_webhooks
from vps_service.payments.errors import BadWebhook, ProviderConfused, ProviderUnreachable, RefundRefused
from vps_service.payments.providers import Charge, Checkout
from vps_service.simulator.schemas import CheckoutAsked, CheckoutEvent, CheckoutState

TIMEOUT_S = 5.0


class SimulatorProvider:
    name = "simulator"

    def __init__(self, url: str, secret: str) -> None:
        self._secret = secret
        headers = {"Authorization": f"Bearer {secret}"}
        self._http = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=TIMEOUT_S, verify=trusted(), trust_env=False
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def start(self, payment_id: UUID, amount: int, currency: str, title: str) -> Checkout:
        asked = CheckoutAsked(reference=str(payment_id), amount=amount, currency=currency, title=title)
        state = await self._ask("POST", "/checkouts", asked)
        return Checkout(ref=state.id, url=state.url)

    async def look_up(self, ref: str) -> Charge:
        return _charge(await self._ask("GET", f"/checkouts/{ref}"))

    async def refund(self, ref: str) -> Charge:
        return _charge(await self._ask("POST", f"/checkouts/{ref}/refund"))

    def ref_of_webhook(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        try:
            standard_webhooks.check(self._secret, headers, body, now)
            return CheckoutEvent.model_validate_json(body).checkout
        except (standard_webhooks.BadSignature, ValidationError):
            raise BadWebhook from None

    async def _ask(self, method: str, path: str, body: CheckoutAsked | None = None) -> CheckoutState:
        try:
            response = await self._http.request(method, path, json=body.model_dump() if body else None)
            if response.status_code == httpx.codes.CONFLICT:
                raise RefundRefused
            if response.status_code == httpx.codes.NOT_FOUND:
                raise ProviderConfused
            return CheckoutState.model_validate_json(response.raise_for_status().content)
        except (*NO_ANSWER, httpx.HTTPStatusError, ValidationError) as error:
            raise ProviderUnreachable(type(error).__name__) from None


def _charge(state: CheckoutState) -> Charge:
    return Charge(status=state.status, payment_id=state.reference, amount=state.amount, currency=state.currency)
