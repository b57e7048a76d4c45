"""What a node can be told by its environment (TOPTANK_ + the name in capitals)."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from shared.settings import HttpUrl, PrivateKey, PublicKeys, Settings

GIB = 2**30


class CloudSettings(Settings):
    """`vps_internal_url` is how this node reaches the VPS, `cloud_url` where clients reach this node.

    An upload has to bring `upload_min_bytes_per_s` over every 30 seconds and end within `upload_deadline_s`; one that
    can be resumed is kept `upload_kept_s` after its last byte. `disk_reserve_bytes` are left free by uploads, for the
    database and for what is made of them.
    """

    cloud_host: str = "127.0.0.1"
    cloud_port: int = Field(8001, ge=1, le=65535)
    cloud_url: HttpUrl = "http://localhost:8001"
    cloud_data_dir: Path | None = None
    vps_internal_url: HttpUrl = "http://127.0.0.1:8000"

    node_id: str = "node-1"
    node_key: PrivateKey
    vps_public_key: PublicKeys

    upload_bytes: int = Field(20 * GIB, ge=1)
    upload_idle_s: float = Field(15, gt=0)
    upload_min_bytes_per_s: int = Field(64 * 1024, ge=0)
    upload_deadline_s: float = Field(24 * 3600, gt=0)
    upload_kept_s: int = Field(24 * 3600, ge=0)
    disk_reserve_bytes: int = Field(GIB, ge=0)
    trust_watching_s: float = Field(15 * 60, gt=0)
    trust_starting_s: float = Field(5 * 60, gt=0)
    feed_wait_s: float = Field(5, gt=0, le=25)
    report_every_s: float = Field(5, gt=0, le=15)

    @model_validator(mode="after")
    def _trust_outlasts_a_poll(self) -> Self:
        if self.trust_starting_s > self.trust_watching_s:
            raise ValueError("TOPTANK_TRUST_STARTING_S must not be over TOPTANK_TRUST_WATCHING_S")
        if self.trust_starting_s < 2 * self.feed_wait_s:
            raise ValueError("TOPTANK_TRUST_STARTING_S must be at least twice TOPTANK_FEED_WAIT_S")
        return self

    @property
    def folder(self) -> Path:
        """Where this node keeps its database and its videos."""
        return self.cloud_data_dir or self.data_dir / self.node_id
