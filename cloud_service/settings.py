"""What a node can be told by its environment (TOPTANK_ + the name in capitals)."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from shared.cors import Origins, origin_of
from shared.settings import HttpUrl, PrivateKey, PublicKeys, PublicUrl, Settings

MIB, GIB = 2**20, 2**30


class NodeSettings(Settings):
    """What every process of a node is told.

    `confinement_required`: not to work on a kernel that cannot hide files from what looks into videos.
    """

    cloud_data_dir: Path | None = None
    node_id: str = "node-1"
    confinement_required: bool = False

    @property
    def folder(self) -> Path:
        """Where this node keeps its database and its videos."""
        return self.cloud_data_dir or self.data_dir / self.node_id

    @property
    def media(self) -> Path:
        """Where in there its videos lie, as `VideoStore` keeps them."""
        return self.folder / "media"


class CloudSettings(NodeSettings):
    """`vps_internal_url` is how this node reaches the VPS, `cloud_url` where clients reach this node.

    `vps_url` is where clients reach the VPS: its pages, and those of `cors_origins`, may read what the node answers.

    `upload_bytes` is the largest video that is taken, `file_bytes` the largest file of a lesson. An upload has to bring
    something every `upload_idle_s` and `upload_min_bytes_per_s` over every `upload_rate_window_s`, and end within
    `upload_deadline_s`; of those in one request each user has at most `uploads_per_user` at once. One that can be
    resumed is kept `upload_kept_s` after its last byte. `disk_reserve_bytes` are left free by uploads, for the database
    and for what is made of them.

    Signed links have to be opened within `playback_open_within_s`, used every `playback_idle_s`, and end after
    `playback_s`; each user watches at most `playbacks_per_user` videos at once, and begins at most
    `playbacks_per_minute`. Of each, and by the tokens of each user, this node sends at most `answers_per_playback` at
    once: players need a few, and those whom a link is handed on to are not to be many. Short answers, as the segments
    of HLS, are over too soon for that to count: a playback ends once its links were sent `playback_times_over` as much
    as its video's original has, and `playback_least_bytes`. Who watches on begins another, whom they were handed on to
    cannot. What was watched the VPS is told `playback_told_every_s` while it goes on.

    With `edge_sends`, short answers are left to an edge before this node, which sends what X-Accel-Redirect names below
    /media/ from `media`; without, this node sends everything itself.

    A call to the VPS is given up after `vps_timeout_s`. Without word of it, who is known may begin to watch for
    `trust_starting_s`, and go on for `trust_watching_s`. Its changes are waited for `feed_wait_s` at a time, and it is
    told every `report_every_s` how the node is.
    """

    cloud_host: str = "127.0.0.1"
    cloud_port: int = Field(8001, ge=1, le=65535)
    cloud_url: PublicUrl = "http://localhost:8001"
    vps_internal_url: HttpUrl = "http://127.0.0.1:8000"
    vps_timeout_s: float = Field(2, gt=0, le=30)
    vps_url: PublicUrl | None = None
    cors_origins: Origins = ()

    node_key: PrivateKey
    vps_public_key: PublicKeys

    upload_bytes: int = Field(20 * GIB, ge=1)
    file_bytes: int = Field(200 * MIB, ge=1)
    upload_idle_s: float = Field(15, gt=0)
    upload_min_bytes_per_s: int = Field(64 * 1024, ge=0)
    upload_rate_window_s: float = Field(30, gt=0)
    upload_deadline_s: float = Field(24 * 3600, gt=0)
    uploads_per_user: int = Field(8, ge=1)
    upload_kept_s: int = Field(24 * 3600, ge=0)
    disk_reserve_bytes: int = Field(GIB, ge=0)
    trust_watching_s: float = Field(15 * 60, gt=0)
    trust_starting_s: float = Field(5 * 60, gt=0)
    playback_open_within_s: float = Field(600, gt=0)
    playback_idle_s: float = Field(3600, gt=0)
    playback_s: float = Field(12 * 3600, gt=0, le=7 * 86400)
    playbacks_per_user: int = Field(2, ge=1)
    playbacks_per_minute: int = Field(60, ge=1)
    answers_per_playback: int = Field(32, ge=1)
    playback_times_over: int = Field(20, ge=1)
    playback_least_bytes: int = Field(2 * GIB, ge=0)
    edge_sends: bool = False
    playback_told_every_s: float = Field(60, gt=0)
    feed_wait_s: float = Field(5, gt=0, le=25)
    report_every_s: float = Field(5, gt=0, le=15)

    @property
    def origins(self) -> tuple[str, ...]:
        """Whose pages may read what the node answers."""
        return (*([origin_of(self.vps_url)] if self.vps_url else []), *self.cors_origins)

    @model_validator(mode="after")
    def _trust_outlasts_a_poll(self) -> Self:
        if self.trust_starting_s > self.trust_watching_s:
            raise ValueError("TOPTANK_TRUST_STARTING_S must not be over TOPTANK_TRUST_WATCHING_S")
        if self.trust_starting_s < 2 * self.feed_wait_s:
            raise ValueError("TOPTANK_TRUST_STARTING_S must be at least twice TOPTANK_FEED_WAIT_S")
        return self

    @model_validator(mode="after")
    def _fit_for_production(self) -> Self:
        weak = self.unencrypted("cloud_url", "vps_url", "cors_origins")
        if self.environment == "production" and (said := "; ".join(weak)):
            raise ValueError(said)
        return self


class WorkerSettings(NodeSettings):
    """What is made of videos, and how long that may take; a worker needs no secret and no network.

    `processing_stalled_s` without getting on end an ffmpeg, as does anything over `processing_at_most_s` and
    `processing_at_most_durations` times the video's length, whichever is longer; `processing_memory_bytes` are what
    it may address. `processing_reserve_bytes` of the disk are left free: below that, jobs wait. A job whose worker
    says nothing for `processing_lease_s` is another's; a failed one is tried again after `processing_retry_s`, then
    after twice as long, and so on. `worker_alive_file` is touched every second or so, for whoever watches over the
    worker.
    """

    processing_stalled_s: float = Field(60, gt=0)
    processing_at_most_s: float = Field(600, gt=0)
    processing_at_most_durations: float = Field(20, gt=0)
    processing_memory_bytes: int = Field(4 * GIB, ge=2**26)
    processing_reserve_bytes: int = Field(GIB // 4, ge=0)
    processing_lease_s: float = Field(15, ge=2)
    processing_retry_s: float = Field(10, ge=0)
    worker_alive_file: Path | None = None
