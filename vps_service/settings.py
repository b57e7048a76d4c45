"""What the VPS can be told by its environment (TOPTANK_ + the name in capitals)."""

import os
from collections.abc import Iterator
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from shared.cors import Origins
from shared.settings import HttpUrl, PrivateKey, PublicUrl, Secret, Settings, is_guessable
from shared.tokens import ACCESS_LIFE_AT_MOST_S, public_jwk
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


LIMITS = (
    *("login_failures", "login_failures_per_client", "logins_per_account"),
    *("refreshes_per_client", "registrations_per_client", "mails_per_client", "follows_per_user"),
    *("changes_per_user", "drafts_per_user"),
)


def _payment_provider() -> str:
    """The simulator, unless the setting is there and empty: no provider. Elsewhere empty means not set."""
    return os.environ.get("TOPTANK_PAYMENT_PROVIDER", "simulator")


def _sender(address: str) -> str:
    name, mailbox = parseaddr(address)
    local, at, domain = mailbox.rpartition("@")
    if not (at and local and domain and address.isprintable()):
        raise ValueError("must be like no-reply@host or TopTank <no-reply@host>")
    return str(Address(name, addr_spec=mailbox))


class VpsSettings(DatabaseSettings):
    """`vps_url` is what clients see; pages of `cors_origins` may read what it answers, besides its own. Nodes are known
    by the database: `toptank add-node`. Who asked, proxies in `trusted_proxies` are believed, in X-Forwarded-For.

    A client (an address, or an IPv6 network of 64 bits) may fail to sign in with one login `login_failures` times in 15
    minutes, with whatever logins `login_failures_per_client` times, and get new tokens `refreshes_per_client` times; in
    an hour register `registrations_per_client` times and ask for `mails_per_client` links to be mailed. Each account
    has at most `logins_per_account` attempts in an hour, right ones too, follows `follows_per_user` times, makes
    `changes_per_user` changes of courses, lessons, practice videos and whom they are shared with, and adds
    `drafts_per_user` courses, sections and lessons. What is said of a login goes for all logins of an account together,
    too; clients from which somebody signed in to it within 30 days have as many attempts again, together. 0: no limit.
    `hashes_waiting` passwords may wait for their turn to be hashed; more are refused.

    A user may keep `practice_quota_bytes` of practice videos and watch `playbacks_per_user` videos at once, on all
    nodes together. Changes are kept `changes_kept_days` for nodes that were away. Who asks to be deleted may take that
    back for `leaving_grace_days`. `image_bytes` and `image_pixels` bound profile images.

    Mail leaves by `smtp_host`, from `mail_from`; without a host it is not sent, which production does not start with.
    Links in it lead to `links_url`, or to the VPS itself, and are good for `email_link_s` and `reset_link_s`.

    `codes_key` seals the secrets of second factors and hashes codes: without it nobody's one-time passwords work any
    more. `phone_provider` sends codes to phones; `local` shows them in the mail catcher instead.
    """

    vps_host: str = "127.0.0.1"
    vps_port: int = Field(8000, ge=1, le=65535)
    vps_url: PublicUrl = "http://localhost:8000"
    cors_origins: Origins = ()
    trusted_proxies: TrustedProxies = ()

    access_key: PrivateKey
    vps_key: PrivateKey
    codes_key: Secret
    changes_kept_days: float = Field(14, gt=0)

    payment_provider: str = Field(default_factory=_payment_provider, pattern="^(simulator|)$")
    simulator_url: HttpUrl = "http://127.0.0.1:8002"
    simulator_secret: Secret | None = None

    smtp_host: str | None = None
    smtp_port: int | None = Field(None, ge=1, le=65535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    mail_from: Annotated[str, AfterValidator(_sender)] | None = None
    links_url: PublicUrl | None = None
    email_link_s: int = Field(24 * 3600, ge=1)
    reset_link_s: int = Field(3600, ge=1)

    followers_required: int = Field(15_000, ge=0)
    access_token_s: int = Field(15 * 60, ge=1, le=ACCESS_LIFE_AT_MOST_S)
    refresh_token_s: int = Field(30 * 24 * 3600, ge=1)
    phone_provider: Literal["local", ""] = ""
    bcrypt_cost: int = Field(12, ge=4, le=16)
    hashes_waiting: int = Field(32, ge=1)
    login_failures: int = Field(10, ge=0)
    login_failures_per_client: int = Field(100, ge=0)
    logins_per_account: int = Field(100, ge=0)
    refreshes_per_client: int = Field(1000, ge=0)
    registrations_per_client: int = Field(50, ge=0)
    mails_per_client: int = Field(30, ge=0)
    follows_per_user: int = Field(300, ge=0)
    changes_per_user: int = Field(600, ge=0)
    drafts_per_user: int = Field(600, ge=0)
    currency: str = Field("EGP", pattern="^[A-Z]{3}$")
    platform_fee_percent: int = Field(0, ge=0, le=100)
    leaving_grace_days: float = Field(14, ge=0, le=3650)
    practice_quota_bytes: int = Field(2 * 2**30, ge=0)
    playbacks_per_user: int = Field(2, ge=1)
    image_bytes: int = Field(8 * 2**20, ge=1)
    image_pixels: int = Field(24_000_000, ge=1)

    @property
    def pages_url(self) -> str:
        return self.links_url or self.vps_url

    @property
    def sender(self) -> str:
        """Of mails, as their From has it."""
        host = urlsplit(self.vps_url).hostname or ""
        return self.mail_from or f"TopTank <no-reply@{'localhost' if ':' in host else host}>"

    @model_validator(mode="after")
    def _mails_are_sent_in_private(self) -> "VpsSettings":
        """Whoever reads a mail on its way has the link in it, and the account with that."""
        is_private = self.smtp_security != "none" or self.smtp_host in (None, "localhost", "127.0.0.1", "::1")
        if not is_private and (self.environment == "production" or self.smtp_password):
            raise ValueError(
                "TOPTANK_SMTP_SECURITY must be starttls or tls, but for a TOPTANK_SMTP_HOST on this machine"
            )
        if self.smtp_password and not self.smtp_username:
            raise ValueError("TOPTANK_SMTP_PASSWORD needs TOPTANK_SMTP_USERNAME")
        return self

    @property
    def admins_need_totp(self) -> bool:
        return self.environment == "production"

    @model_validator(mode="after")
    def _fit_for_production(self) -> "VpsSettings":
        if self.payment_provider == "simulator" and self.simulator_secret is None:
            raise ValueError("the payment simulator needs TOPTANK_SIMULATOR_SECRET")
        if self.phone_provider == "local" and not self.smtp_host:
            raise ValueError("the local phone sender needs TOPTANK_SMTP_HOST, the mail catcher's")
        if public_jwk(self.access_key.public_key()) == public_jwk(self.vps_key.public_key()):
            raise ValueError("TOPTANK_ACCESS_KEY and TOPTANK_VPS_KEY must be two keys: they sign different things")
        if self.environment == "production" and (weak := list(self._weaknesses())):
            raise ValueError("; ".join(weak))
        return self

    def _weaknesses(self) -> Iterator[str]:
        """What is good enough to try TopTank with, and for nothing else."""
        if self.payment_provider == "simulator":
            yield "the payment simulator refuses to run in production; empty TOPTANK_PAYMENT_PROVIDER"
        if self.phone_provider == "local":
            yield "the local phone sender refuses to run in production; unset TOPTANK_PHONE_PROVIDER"
        if not self.smtp_host:
            yield "TOPTANK_SMTP_HOST must be set in production, or nobody can confirm an address"
        if not self.trusted_proxies:
            yield "TOPTANK_TRUSTED_PROXIES must name the proxy that ends TLS in production, or all clients count as one"
        if self.bcrypt_cost < 12:
            yield "TOPTANK_BCRYPT_COST must be at least 12 in production"
        if self.access_token_s > 3600:
            yield "TOPTANK_ACCESS_TOKEN_S must be at most 3600 in production"
        yield from self.unencrypted("vps_url", "links_url", "cors_origins")
        for name in LIMITS:
            if not getattr(self, name):
                yield f"TOPTANK_{name.upper()} must not be 0 in production"
        password = make_url(self.database_url).password
        password = self.database_password.get_secret_value() if self.database_password else password
        if password is not None and is_guessable(str(password)):
            yield "TOPTANK_DATABASE_PASSWORD must have at least 12 characters, and not be a known one, in production"
