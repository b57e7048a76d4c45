"""What the payment provider sends by itself, signed as it signs."""

import json
import time
from uuid import uuid4

import httpx

from tests.faults.acts import Order
from tests.faults.world import World
from vps_service.standard_webhooks import signed_headers


def send_webhook(world: World, placed: Order, message_id: str | None = None) -> httpx.Response:
    """About the order's checkout; the same `message_id` for one that is sent again."""
    secret = (world.secrets / "simulator_secret").read_text().strip()
    message_id = message_id or f"msg_{uuid4().hex}"
    body = json.dumps({"id": message_id, "checkout": placed.checkout.rsplit("/", 1)[-1]}).encode()
    headers = signed_headers(secret, message_id, body, time.time())
    headers["Content-Type"] = "application/json"
    return httpx.post(f"{world.vps.url}/api/payments/webhooks/simulator", content=body, headers=headers, timeout=30)
