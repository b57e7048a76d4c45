"""Everything that lives as long as the service does, in one typed place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import Depends, Request

from vps_service.accounts.images import ImageStore
from vps_service.accounts.passwords import Hasher
from vps_service.accounts.sealing import CodesKey
from vps_service.accounts.verified import VerifiedTokens
from vps_service.listener import Listener
from vps_service.payments.providers import Provider
from vps_service.phones.senders import PhoneSender
from vps_service.settings import VpsSettings
from vps_service.turns import Turns


@dataclass(frozen=True)
class Vps:
    settings: VpsSettings
    hasher: Hasher
    images: ImageStore
    access_keys: Mapping[str, Ed25519PublicKey]
    access_tokens: VerifiedTokens
    provider: Provider | None
    phones: PhoneSender | None
    codes_key: CodesKey
    listener: Listener
    follows: Turns


async def current_vps(request: Request) -> Vps:
    vps: Vps = request.app.state.vps
    return vps


CurrentVps = Annotated[Vps, Depends(current_vps)]
