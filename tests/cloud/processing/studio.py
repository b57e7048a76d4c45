"""Clips made for a test, and what processing makes of them; each once a run."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random

import av

from cloud_service.media.confined import Limits
from cloud_service.media.containers import HEAD_BYTES, media_type_of
from cloud_service.processing.ffmpeg import Ffmpeg, Patience
from cloud_service.processing.source import Source, inspect
from cloud_service.processing.steps import Step, carry_out, plan
from cloud_service.videos.models import Rendition
from tests.clips import ffmpeg

QUICK = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
LIMITS = Limits(memory_bytes=4 * 2**30, cpu_s=300, file_bytes=2**30)
PATIENCE = Patience(stalled_s=120, in_all_s=300)


def pattern(width: int = 160, height: int = 90, rate: str = "25", seconds: float = 2) -> tuple[str, ...]:
    """A moving test picture as input."""
    return ("-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate={rate}:duration={seconds}")


def tone(seconds: float = 2, rate: int = 48_000) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate={rate}:duration={seconds}")


def looked_into(original: Path) -> Source:
    """Raises CannotProcess."""
    with original.open("rb") as file:
        media_type = media_type_of(file.read(HEAD_BYTES))
    assert media_type
    return asyncio.run(inspect(original, media_type))


def carried_out(
    step: Step,
    source: Source,
    original: Path,
    folder: Path,
    made: list[Rendition],
    on_progress: Callable[[float, float], None] = lambda share, speed: None,
) -> list[str]:
    """The files that were made; what was rendered is added to `made`."""
    folder.mkdir(exist_ok=True)
    done = asyncio.run(carry_out(step, source, original, folder, Ffmpeg(LIMITS, PATIENCE), made, on_progress))
    if done.rendition:
        made.append(done.rendition)
    return list(done.files)


@dataclass
class Video:
    """An original, and beside it in `folder` what is made of it when a test asks for that."""

    original: Path
    made: list[Rendition] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.original.with_name(f"{self.original.name}.made")

    @cached_property
    def source(self) -> Source:
        return looked_into(self.original)

    @cached_property
    def steps(self) -> dict[str, Step]:
        return {step.name: step for step in plan(self.source)}

    def rendition(self, name: str) -> Rendition:
        self.file(name)
        return next(made for made in self.made if made.name == name)

    def file(self, step: str) -> Path:
        """The first that this step makes."""
        if step not in self.files:
            self.files[step] = carried_out(self.steps[step], self.source, self.original, self.folder, self.made)
        return self.folder / self.files[step][0]

    def everything(self) -> list[str]:
        for step in self.steps:
            self.file(step)
        return sorted(path.name for path in self.folder.iterdir())


@dataclass
class Studio:
    folder: Path
    videos: dict[str, Video] = field(default_factory=dict)

    def video(self, name: str, *arguments: str) -> Video:
        """By what ffmpeg is told; the name is its file's, and says its container."""
        if name not in self.videos:
            ffmpeg(*arguments, self.folder / name)
            self.videos[name] = Video(self.folder / name)
        return self.videos[name]

    def feature(self) -> Video:
        """Full HD, two segments and a bit."""
        return self.video(
            "feature.mp4",
            *pattern(1920, 1080, "5", 8.4),
            *tone(8.4),
            *(*QUICK, "-g", "17", "-c:a", "aac", "-ac", "2"),
        )

    def fitting(self) -> Video:
        """A recording that needs nothing but to be cut into segments; keyframes come twice as often as these."""
        return self.video(
            "fitting.mp4",
            *pattern(640, 360, "30", 9),
            *tone(9),
            *("-c:v", "libx264", "-preset", "fast", "-pix_fmt", "yuv420p", "-g", "60", "-sc_threshold", "0"),
            *("-bf", "2", "-crf", "28", "-c:a", "aac", "-ac", "2"),
        )

    def fitting_minute(self) -> Video:
        """As `fitting`, for who has to catch an ffmpeg that watches it: decoding less may be over unseen."""
        return self.video(
            "minute.mp4",
            *pattern(640, 360, "30", 60),
            *tone(60),
            *("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "60", "-sc_threshold", "0"),
            *("-bf", "2", "-crf", "40", "-c:a", "aac", "-ac", "2"),
        )

    def damaged(self, name: str, share: float) -> Video:
        """What fits, but that share of its frames are not what was written; they come as before."""
        if name not in self.videos:
            content, chance = bytearray(self.fitting().original.read_bytes()), Random(1)
            with av.open(str(self.fitting().original), "r") as container:
                frames = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
            for at, size in chance.sample(frames[1:], round(share * len(frames))):
                assert at is not None
                content[at + size // 4 : at + size] = chance.randbytes(size - size // 4)
            (self.folder / name).write_bytes(content)
            self.videos[name] = Video(self.folder / name)
        return self.videos[name]

    def high(self, name: str, transfer: str) -> Video:
        """Dark, grey, white and something brighter than white, in ten bits, side by side in a picture of BT.2100."""
        levels = {"smpte2084": (0.0, 0.38, 0.58, 0.75), "arib-std-b67": (0.0, 0.38, 0.75, 0.95)}[transfer]
        bars = "+".join(f"eq(floor(X/40),{bar})*{level}" for bar, level in enumerate(levels))
        grey = f"color=black:size=160x90:rate=5:duration=2,format=yuv420p10le,geq=lum='64+876*({bars})':cb=512:cr=512"
        said = f"colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc:log-level=error"
        master = ":max-cll=1000,400:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
        tags = ("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc")
        codec = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", said + master, "-tag:v", "hvc1")
        return self.video(name, "-f", "lavfi", "-i", grey, *codec, *tags)

    def uneven(self) -> Video:
        """A screen recorder's: 30 frames a second, but hardly any while nothing moves."""
        seldom = ("-vf", "select='lt(t,2)+not(mod(n,9))'", "-fps_mode", "vfr")
        return self.video("uneven.mp4", *pattern(rate="30", seconds=5), *seldom, *QUICK)
