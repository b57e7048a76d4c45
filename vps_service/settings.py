"""What the VPS can be told by its environment (TOPTANK_ + the name in capitals)."""

import os
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from shared.cors import Origins
from shared.settings import HttpUrl, PrivateKey, PublicUrl, Secret, Settings
from shared.tokens import ACCESS_LIFE_AT_MOST_S
from vps_service.clients import TrustedProxies


def _postgresql(url: str) -> str:
    try:
        backend = make_url(url).get_backend_name()
    except ArgumentError:
        backend = "no"
    if backend not in ("postgresql", "postgres"):
        raise ValueError("must be a postgresql:// URL")
    return url


class DatabaseSettings(Settings):
    """All that `toptank migrate` is told: it needs none of the keys."""

    database_url: Annotated[str, AfterValidator(_postgresql)]
    database_password: SecretStr | None = None
    database_pool: int = Field(10, ge=1)


def _payment_provider() -> str:
    """The simulator, unless the setting is there and empty: no provider. Elsewhere empty means not set."""
    return os.environ.get("TOPTANK_PAYMENT_PROVIDER", "simulator")


class VpsSettings(DatabaseSettings):
    """`vps_url` is what clients see; pages of `cors_origins` may read what it answers, besides its own. Nodes are known
    by the database: `toptank add-node`.

    A user may keep `practice_quota_bytes` of practice videos and watch `playbacks_per_user` videos at once, on all
    nodes together. Changes are kept `changes_kept_days` for nodes that were away. `image_bytes` and `image_pixels`
    bound profile images.
    """

    vps_host: str = "127.0.0.1"
    vps_port: int = Field(8000, ge=1, le=65535)
    vps_url: PublicUrl = "http://localhost:8000"
    cors_origins: Origins = ()
    trusted_proxies: TrustedProxies = ()

    access_key: PrivateKey
    vps_key: PrivateKey
    changes_kept_days: float = Field(14, gt=0)

    payment_provider: str = Field(default_factory=_payment_provider, pattern="^(simulator|)$")
    simulator_url: HttpUrl = "http://127.0.0.1:8002"
    simulator_secret: Secret | None = None

    followers_required: int = Field(15_000, ge=0)
    access_token_s: int = Field(15 * 60, ge=1, le=ACCESS_LIFE_AT_MOST_S)
    refresh_token_s: int = Field(30 * 24 * 3600, ge=1)
    bcrypt_cost: int = Field(12, ge=4, le=16)
    currency: str = Field("EGP", pattern="^[A-Z]{3}$")
    platform_fee_percent: int = Field(0, ge=0, le=100)
    practice_quota_bytes: int = Field(2 * 2**30, ge=0)
    playbacks_per_user: int = Field(2, ge=1)
    image_bytes: int = Field(8 * 2**20, ge=1)
    image_pixels: int = Field(24_000_000, ge=1)

    @model_validator(mode="after")
    def _fit_for_production(self) -> "VpsSettings":
        if self.payment_provider == "simulator" and self.simulator_secret is None:
            raise ValueError("the payment simulator needs TOPTANK_SIMULATOR_SECRET")
        if self.environment == "production":
            if self.payment_provider == "simulator":
                raise ValueError("the payment simulator refuses to run in production; empty TOPTANK_PAYMENT_PROVIDER")
            if self.bcrypt_cost < 12:
                raise ValueError("TOPTANK_BCRYPT_COST must be at least 12 in production")
        return self
