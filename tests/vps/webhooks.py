"""Webhooks as the provider sends them, and as somebody else might."""

import json
import time
from typing import Any
from uuid import uuid4

import httpx

from tests.vps.running import Vps
from vps_service import standard_webhooks

PATH = "/api/payments/webhooks/simulator"


def ref_of(payment: dict[str, Any]) -> str:
    """The provider's own id of a payment's checkout."""
    return str(payment["action"]["url"]).rpartition("/")[2]


def body_about(ref: str, event: str | None = None) -> bytes:
    return json.dumps({"id": event or f"evt_{uuid4().hex}", "checkout": ref}).encode()


def headers_for(body: bytes, secret: str, *, event: str = "evt_1", at: float | None = None) -> dict[str, str]:
    return standard_webhooks.signed_headers(secret, event, body, time.time() if at is None else at)


def secret_of(vps: Vps) -> str:
    assert vps.settings.simulator_secret is not None
    return vps.settings.simulator_secret.get_secret_value()


async def hook(vps: Vps, ref: str, event: str = "evt_1") -> httpx.Response:
    """The provider says that something happened to this checkout."""
    body = body_about(ref, event)
    return await vps.http.post(PATH, content=body, headers=headers_for(body, secret_of(vps), event=event))
