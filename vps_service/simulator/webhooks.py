"""Telling the merchant what happened to checkouts, each message until it is taken."""

import asyncio
import logging
import sqlite3
import time

import httpx

from shared.authorities import trusted
from vps_service import standard_webhooks
from vps_service.simulator.checkouts import Checkouts

log = logging.getLogger(__name__)

LOOKS_EVERY_S = 0.2
TIMEOUT_S = 10.0


async def send_webhooks(checkouts: Checkouts, url: str, secret: str) -> None:
    """Runs until it is cancelled."""
    async with httpx.AsyncClient(timeout=TIMEOUT_S, verify=trusted(), trust_env=False) as http:
        while True:
            try:
                for row in await asyncio.to_thread(checkouts.due_webhooks):
                    event, body = row["id"], row["body"].encode()
                    if await _taken(http, url, secret, event, body):
                        await asyncio.to_thread(checkouts.webhook_taken, event)
                    else:
                        await asyncio.to_thread(checkouts.webhook_refused, event, row["tries"])
            except sqlite3.OperationalError as error:
                log.error("the simulator's books cannot be read; trying again", extra={"error": str(error)})
            await asyncio.sleep(LOOKS_EVERY_S)


async def _taken(http: httpx.AsyncClient, url: str, secret: str, event: str, body: bytes) -> bool:
    headers = standard_webhooks.signed_headers(secret, event, body, time.time())
    try:
        answer = await http.post(url, content=body, headers={"Content-Type": "application/json", **headers})
    except httpx.HTTPError as error:
        log.warning("webhook not delivered", extra={"event": event, "error": type(error).__name__})
        return False
    if not answer.is_success:
        log.warning("webhook not taken", extra={"event": event, "status": answer.status_code})
    return answer.is_success
