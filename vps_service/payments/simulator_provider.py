"""The local payment simulator as a provider, spoken to over HTTP as a real one would be."""

from uuid import UUID

import httpx
from pydantic import ValidationError

from vps_service.payments.errors import ProviderUnreachable
from vps_service.payments.providers import Charge, Checkout
from vps_service.simulator.schemas import CheckoutAsked, CheckoutState

TIMEOUT_S = 5.0


class SimulatorProvider:
    name = "simulator"

    def __init__(self, url: str, secret: str) -> None:
        headers = {"Authorization": f"Bearer {secret}"}
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def start(self, payment_id: UUID, amount: int, currency: str, title: str) -> Checkout:
        asked = CheckoutAsked(reference=str(payment_id), amount=amount, currency=currency, title=title)
        state = await self._ask("POST", "/checkouts", asked)
        return Checkout(ref=state.id, url=state.url)

    async def look_up(self, ref: str) -> Charge:
        state = await self._ask("GET", f"/checkouts/{ref}", None)
        return Charge(status=state.status, payment_id=state.reference, amount=state.amount, currency=state.currency)

    async def _ask(self, method: str, path: str, body: CheckoutAsked | None) -> CheckoutState:
        try:
            response = await self._http.request(method, path, json=body.model_dump() if body else None)
            return CheckoutState.model_validate_json(response.raise_for_status().content)
        except (httpx.HTTPError, ValidationError) as error:
            raise ProviderUnreachable(type(error).__name__) from None
