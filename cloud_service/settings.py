"""What a node can be told by its environment (TOPTANK_ + the name in capitals)."""

from pathlib import Path

from pydantic import Field

from shared.settings import HttpUrl, PrivateKey, PublicKey, Settings

GIB = 2**30


class CloudSettings(Settings):
    """`vps_internal_url` is how this node reaches the VPS; peers are known by settings only."""

    cloud_host: str = "127.0.0.1"
    cloud_port: int = Field(8001, ge=1, le=65535)
    cloud_data_dir: Path | None = None
    vps_internal_url: HttpUrl = "http://127.0.0.1:8000"

    node_id: str = "node-1"
    node_key: PrivateKey
    vps_public_key: PublicKey

    upload_bytes: int = Field(20 * GIB, ge=1)
    upload_idle_s: float = Field(15, gt=0)
    trust_watching_s: float = Field(15 * 60, gt=0)

    @property
    def folder(self) -> Path:
        """Where this node keeps its database and its videos."""
        return self.cloud_data_dir or self.data_dir / self.node_id
