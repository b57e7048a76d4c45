"""Real videos, and files that only look like one; made once a run."""

import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import imageio_ffmpeg

PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10")
SOUND = ("-f", "lavfi", "-i", "sine=frequency=440")
COVER = ("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=1:duration=1")
ATTACHED = ("-c:v:0", "mjpeg", "-frames:v:0", "1", "-disposition:v:0", "attached_pic", "-pix_fmt", "yuvj420p")
H264 = ("-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast")


def ffmpeg(*arguments: str | Path) -> None:
    program = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([program, "-hide_banner", "-loglevel", "error", "-y", *arguments], check=True)


def padded(clip: bytes, size: int) -> bytes:
    """The MP4 grown to `size` bytes, as valid as before: with a `free` box at its end (ISO 14496-12 8.1.2)."""
    room = size - len(clip)
    pattern = bytes(range(256)) * 16
    filling = (pattern * (room // len(pattern) + 1))[: room - 8]
    return clip + room.to_bytes(4, "big") + b"free" + filling


@dataclass(frozen=True)
class Clips:
    folder: Path

    def made(self, name: str, *arguments: str, seconds: float = 1) -> bytes:
        path = self.folder / name
        if not path.exists():
            ffmpeg(*arguments, "-t", str(seconds), path)
        return path.read_bytes()

    @cached_property
    def film(self) -> bytes:
        """One second of a small MP4, its index in front: about 10 kB."""
        return self.made("film.mp4", *PICTURE, *SOUND, *H264, "-movflags", "+faststart")

    @cached_property
    def large(self) -> bytes:
        """An MP4 of three of the node's blocks and a bit."""
        return padded(self.film, 3 * 2**20 + 12_345)

    @cached_property
    def slow(self) -> bytes:
        """Six seconds in an old codec, so that each rendition takes a second or so to make."""
        large = ("-f", "lavfi", "-i", "testsrc2=size=640x480:rate=25")
        return self.made("slow.mp4", *large, *SOUND, "-c:v", "mpeg4", "-q:v", "5", seconds=6)

    @cached_property
    def hd(self) -> bytes:
        """Two seconds large enough for two renditions."""
        large = ("-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=10")
        return self.made("hd.mp4", *large, "-c:v", "mpeg4", "-q:v", "5", seconds=2)

    @cached_property
    def lecture(self) -> bytes:
        """Twenty-four seconds, six segments long, large enough for two renditions."""
        large = ("-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=5")
        return self.made("lecture.mp4", *large, *SOUND, *H264, seconds=24)

    @cached_property
    def etude(self) -> bytes:
        """As long, in a picture so small that it costs little to make something of it."""
        small = ("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10")
        return self.made("etude.mp4", *small, *SOUND, *H264, seconds=24)

    @cached_property
    def snow(self) -> bytes:
        """Twenty-four seconds that are more than browsers fetch ahead."""
        snow = ("-f", "lavfi", "-i", "testsrc2=size=480x270:rate=10", "-vf", "noise=alls=80:allf=t")
        return self.made("snow.mp4", *snow, *H264, "-crf", "10", "-g", "10", "-movflags", "+faststart", seconds=24)

    @cached_property
    def index_last(self) -> bytes:
        return self.made("index-last.mp4", *PICTURE, *H264)

    @cached_property
    def sound_only(self) -> bytes:
        return self.made("sound.mp4", *SOUND)

    @cached_property
    def sound_with_cover(self) -> bytes:
        """An M4A as music shops sell it."""
        return self.made("covered.mp4", *SOUND, *COVER, "-map", "0:a", "-map", "1:v", *ATTACHED)

    @cached_property
    def film_with_cover(self) -> bytes:
        """The cover comes first."""
        return self.made(
            "covered-film.mp4", *COVER, *PICTURE, "-map", "0:v", "-map", "1:v", *ATTACHED, "-c:v:1", "libx264"
        )

    @cached_property
    def picture(self) -> bytes:
        return self.made("picture.png", *PICTURE, "-frames:v", "1")

    def container(self, ending: str) -> bytes:
        codec = ("-c:v", "libvpx", "-deadline", "realtime") if ending == "webm" else H264
        return self.made(f"film.{ending}", *PICTURE, *codec)
