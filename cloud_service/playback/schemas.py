from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from cloud_service.playback import links
from cloud_service.playback.models import Watching
from cloud_service.videos.schemas import RenditionOut
from cloud_service.videos.store import MASTER, POSTER, STORYBOARD_INDEX
from shared.schemas import Moment, Out


class Progressive(Out):
    """One file that a `<video>` plays; `name` is a rendition's, or `original`."""

    name: str
    url: str
    media_type: str


class Captions(Out):
    """`language` as BCP 47 has it; WebVTT."""

    language: str
    url: str


class PlaybackOut(Out):
    """Signed links of one viewer to one video, all below one address; they are good for nobody for long.

    They have to be opened within ten minutes, are good as long as they are used at least once an hour, and end at
    `expires_at`; then, or on `playback_expired`, ask for another playback. `hls` is null until a rendition was made.
    `download` is the original, to be kept: null for whoever its owner does not let do that, and refused once it is so.
    `viewer_label` is to be shown over the picture; `resume_at_s` is where this viewer was the last time, if known.
    """

    id: UUID
    video_id: UUID
    hls: str | None
    mp4: list[Progressive]
    poster: str | None
    storyboard: str | None
    captions: list[Captions]
    download: str | None
    renditions: list[RenditionOut]
    duration_s: float
    viewer_label: str
    resume_at_s: float | None
    expires_at: Moment

    @classmethod
    def from_watching(cls, watching: Watching, viewer_label: str, base_url: str) -> "PlaybackOut":
        video, names = watching.video, watching.names

        def url(name: str) -> str:
            return f"{base_url}/play/{watching.token}/{name}"

        def url_of(name: str) -> str | None:
            return url(name) if name in names else None

        return cls(
            id=UUID(watching.playback.id),
            video_id=UUID(video.id),
            hls=url_of(MASTER),
            mp4=_progressive(watching, url),
            poster=url_of(POSTER),
            storyboard=url_of(STORYBOARD_INDEX),
            captions=[Captions(language=one, url=url(f"captions/{one}.vtt")) for one in watching.languages],
            download=url_of(links.DOWNLOAD),
            renditions=[RenditionOut.model_validate(made, from_attributes=True) for made in video.renditions],
            duration_s=video.duration_s,
            viewer_label=viewer_label,
            resume_at_s=watching.resume_at_s,
            expires_at=datetime.fromtimestamp(watching.ends_at, UTC),
        )


def _progressive(watching: Watching, url: Callable[[str], str]) -> list[Progressive]:
    made = [
        Progressive(name=one.name, url=url(f"{one.name}.mp4"), media_type=links.MP4)
        for one in watching.video.renditions
    ]
    if links.ORIGINAL in watching.names:
        media_type = watching.video.media_type
        made.append(Progressive(name=links.ORIGINAL, url=url(links.ORIGINAL), media_type=media_type))
    return made
