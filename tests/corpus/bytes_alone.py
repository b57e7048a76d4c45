"""Files that are no videos at all, some with the first bytes of one."""

import io
import random
import zipfile

from tests.clips import PICTURE, Clips
from tests.corpus.entry import DAMAGED, NO_CONTAINER, NO_STREAM, Entries
from tests.corpus.trap import Trap

ENTRIES = Entries()
MP4_BRAND = b"\0\0\0\x18ftypisom\0\0\0\0isommp41"
EBML = b"\x1a\x45\xdf\xa3"
ELF = b"\x7fELF\x02\x01\x01"
HTML = b"<!doctype html><script>fetch('/api/users/me')</script>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>"


def noise(size: int, seed: int = 4) -> bytes:
    return random.Random(seed).randbytes(size)


for name, content in {
    "one byte": b"\0",
    "text": b"just some text, " * 100,
    "zeros": bytes(5000),
    "noise": noise(5000),
    "a PDF": b"%PDF-1.7\n" + noise(2000),
    "a program": ELF + noise(2000),
    "a web page": HTML * 20,
    "an SVG": SVG * 20,
    "a JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + noise(2000),
    "a GIF": b"GIF89a" + noise(2000),
    "a WAV": b"RIFF\xff\xff\0\0WAVEfmt " + noise(2000),
    "Flash": b"FLV\x01\x05\0\0\0\x09" + noise(2000),
    "an ASF": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + noise(2000),
    "an Ogg": b"OggS\0\x02" + noise(2000),
}.items():
    ENTRIES.add(name, lambda clips, trap, content=content: content, NO_CONTAINER)  # type: ignore[misc]

for name, content in {
    "an MP4 brand alone": MP4_BRAND,
    "noise with an MP4 brand": MP4_BRAND + noise(5000),
    "noise with an EBML head": EBML + noise(5000),
    "a web page that says webm": EBML + b"\x9fB\x82\x84webm" + HTML * 50,
    "noise between sync bytes": b"".join(b"\x47" + noise(187, seed) for seed in range(200)),
    "null packets alone": (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 200,
}.items():
    ENTRIES.add(name, lambda clips, trap, content=content: content, DAMAGED)  # type: ignore[misc]


@ENTRIES.refused(NO_STREAM)
def noise_with_an_avi_head(clips: Clips, trap: Trap) -> bytes:
    return b"RIFF\x80\x13\0\0AVI LIST" + noise(5000)


@ENTRIES.refused(NO_CONTAINER)
def a_png(clips: Clips, trap: Trap) -> bytes:
    return clips.picture


@ENTRIES.refused(NO_CONTAINER)
def a_photo_in_an_mp4_box(clips: Clips, trap: Trap) -> bytes:
    """AVIF, as HEIC, begins as an MP4 does."""
    return clips.made("photo.avif", *PICTURE, "-frames:v", "1", "-c:v", "libaom-av1", "-cpu-used", "8")


@ENTRIES.refused(NO_CONTAINER)
def a_zip_with_a_video_in_it(clips: Clips, trap: Trap) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as inside:
        inside.writestr("film.mp4", clips.film)
    return archive.getvalue()


@ENTRIES.taken
def a_video_that_is_a_zip_too(clips: Clips, trap: Trap) -> bytes:
    archive = io.BytesIO(clips.film)
    archive.seek(0, 2)
    with zipfile.ZipFile(archive, "a") as inside:
        inside.writestr("../../evil.sh", "#!/bin/sh")
    return archive.getvalue()


@ENTRIES.taken
def a_video_that_is_a_web_page_too(clips: Clips, trap: Trap) -> bytes:
    page = HTML * 10
    return clips.film + (8 + len(page)).to_bytes(4, "big") + b"free" + page
