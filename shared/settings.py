"""Typed settings from the environment, and secrets from files; a bad one is one clear line."""

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Never, Self, TypeVar
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared import killpoints
from shared.environment import PREFIX
from shared.tokens import load_private_key, load_public_keys

KNOWN_SECRETS = ("change", "secret", "password", "example", "toptank", "default", "0123456789")


class SecretFiles(PydanticBaseSettingsSource):
    """Reads setting X from the file that TOPTANK_X_FILE names, as container engines hand out secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        try:
            return (Path(path).read_text().strip() if path else None), field_name, False
        except UnicodeDecodeError:
            raise OSError(errno.EILSEQ, "is not text", path) from None

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


def _strong(secret: SecretStr) -> SecretStr:
    """At least 32 characters, not one that stands in an example. Raises ValueError."""
    value = secret.get_secret_value()
    if len(value) < 32:
        raise ValueError("must have at least 32 characters")
    if len(set(value)) < 8 or any(known in value.lower() for known in KNOWN_SECRETS):
        raise ValueError("is a known or guessable secret")
    return secret


def is_guessable(password: str) -> bool:
    """What an operator may have typed by hand, and kept."""
    return len(password) < 12 or len(set(password)) < 5 or any(known in password.lower() for known in KNOWN_SECRETS)


def _private_key(pem: object) -> object:
    return load_private_key(pem) if isinstance(pem, str) else pem


def _public_keys(pems: object) -> object:
    return load_public_keys(pems) if isinstance(pems, str) else pems


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or parts.query or parts.fragment:
        raise ValueError("must be a URL like https://host or http://host:8000")
    return url.rstrip("/")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    if url != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        raise ValueError("must be a URL like https://host, without anything after the host and its port")
    return _http_url(url)


HttpUrl = Annotated[str, AfterValidator(_http_url)]
PublicUrl = Annotated[str, AfterValidator(_origin)]
"""Where clients reach a service. An edge that is told it takes a path, a lone slash too, for all that it serves."""
Secret = Annotated[SecretStr, AfterValidator(_strong)]
PrivateKey = Annotated[Ed25519PrivateKey, BeforeValidator(_private_key)]
PublicKeys = Annotated[tuple[Ed25519PublicKey, ...], BeforeValidator(_public_keys)]
"""One, or two while it is being replaced."""


class Settings(BaseSettings):
    """What both services can be told."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, arbitrary_types_allowed=True, frozen=True
    )

    environment: Literal["local", "staging", "production"] = "production"
    data_dir: Path = Path(".toptank")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _dies_only_in_tests(self) -> Self:
        if self.environment == "production" and os.environ.get(killpoints.SETTING):
            raise ValueError(f"{killpoints.SETTING} is for tests and refuses to run in production")
        return self

    def unencrypted(self, *names: str) -> Iterator[str]:
        """What is wrong with those of these settings, each a URL or several, by which tokens would go unencrypted."""
        for name in names:
            value = getattr(self, name)
            urls = (value,) if isinstance(value, str) else value or ()
            if any(not url.startswith("https://") for url in urls):
                yield f"{PREFIX}{name.upper()} must be https:// in production"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SecretFiles(settings_cls)


SomeSettings = TypeVar("SomeSettings", bound=Settings)


def load(kind: type[SomeSettings]) -> SomeSettings:
    """The settings, or the process ends with one line that names each bad one and never its value."""
    try:
        return kind()
    except ValidationError as error:
        wrong = "; ".join(_said(problem["loc"], problem["msg"]) for problem in error.errors())
    except OSError as error:
        wrong = f"{error.filename}: {error.strerror}"
    stop(f"bad setting: {wrong}")


def _said(where: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{PREFIX}{'.'.join(str(part) for part in where).upper()}: {message}" if where else message


def stop(reason: str) -> Never:
    """End the process with one line on standard error."""
    sys.exit(f"toptank: {reason}")
