"""What a file is, by its own bytes: real files of every allowed kind, and files that only begin alike."""

import asyncio
import io
import os
from pathlib import Path

import pytest

from cloud_service.media.asking import Asking
from cloud_service.media.containers import HEAD_BYTES, MP4, media_type_of
from cloud_service.media.truncation import is_cut_short
from cloud_service.uploads.probe import NoVideo, probe
from tests.clips import Clips, padded
from tests.cloud.running import eventually
from tests.processes import children_of

INSPECTION = "cloud_service.uploads.inspection"


@pytest.mark.parametrize(
    ("ending", "media_type"),
    [
        ("mp4", "video/mp4"),
        ("mov", "video/quicktime"),
        ("mkv", "video/x-matroska"),
        ("webm", "video/webm"),
        ("avi", "video/x-msvideo"),
        ("ts", "video/mp2t"),
    ],
)
def test_a_real_file_is_known_by_its_first_bytes(clips: Clips, ending: str, media_type: str) -> None:
    assert media_type_of(clips.container(ending)[:HEAD_BYTES]) == media_type


@pytest.mark.parametrize("box", [b"moov", b"mdat", b"wide"])
def test_a_quicktime_file_older_than_its_brand_is_known(box: bytes) -> None:
    assert media_type_of(b"\0\0\0\x08" + box + bytes(500)) == "video/quicktime"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0",
        b"ftyp",
        bytes(512),
        b"#EXTM3U\n" + b"ftyp" * 10,
        b"ffconcat version 1.0\n",
        b"RIFF\0\0\0\0WAVE" + bytes(500),
        b"RIFF\0\0\0\0WEBP" + bytes(500),
        b"\x47" + bytes(511),
        b"\x47" * 188,
        b"\x89PNG\r\n\x1a\n" + bytes(500),
        b"\xff\xd8\xff\xe0" + bytes(500),
        b"GIF89a" + bytes(500),
        b"%PDF-1.7\n" + bytes(500),
        b"PK\x03\x04" + bytes(500),
        b"<!doctype html>" + bytes(500),
        b"<svg xmlns='http://www.w3.org/2000/svg'>" + bytes(500),
        b"OggS" + bytes(500),
        b"ID3\x04" + bytes(500),
        b"FLV\x01" + bytes(500),
    ],
)
def test_anything_else_is_unknown(head: bytes) -> None:
    assert media_type_of(head) is None


def test_every_beginning_of_a_video_is_its_kind_or_not_known_yet(clips: Clips) -> None:
    kinds = {media_type_of(clips.film[:length]) for length in range(HEAD_BYTES)}
    assert kinds == {None, "video/mp4"}


def test_a_whole_mp4_is_not_cut_short(clips: Clips) -> None:
    for whole in (clips.film, clips.index_last, clips.container("mov"), padded(clips.film, 100_000)):
        assert not is_cut_short(io.BytesIO(whole), MP4)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_a_cut_through_index_or_pictures_is_seen(clips: Clips, share: float) -> None:
    for whole in (clips.film, clips.index_last):
        assert is_cut_short(io.BytesIO(whole[: int(len(whole) * share)]), MP4)


@pytest.mark.parametrize(
    "boxes",
    [
        b"",
        b"\0",
        b"\0\0\0\x08free",
        b"\0\0\0\0mdat" + bytes(100),
        b"\0\0\0\x08free" + bytes(100),
        b"\0\0\0\x03moov",
        b"\0\0\0\x01mdat" + bytes(8),
        b"\0\0\0\xfffree",
        b"\xff\xff\xff\xffjunk",
    ],
)
def test_odd_boxes_are_left_to_the_decoder(boxes: bytes) -> None:
    assert not is_cut_short(io.BytesIO(boxes), MP4)


def test_a_box_of_64_bit_size_is_measured_too() -> None:
    beyond = b"\0\0\0\x01mdat" + (1 << 40).to_bytes(8, "big") + bytes(100)
    assert is_cut_short(io.BytesIO(beyond), MP4)


@pytest.mark.anyio
async def test_a_video_is_measured(clips: Clips, tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(clips.film)
    found = await probe(path, Asking(INSPECTION))
    assert (found.width, found.height) == (160, 90)
    assert found.duration_s == pytest.approx(1, abs=0.2)


@pytest.mark.anyio
async def test_sound_with_a_cover_picture_is_no_video(clips: Clips, tmp_path: Path) -> None:
    path = tmp_path / "sound"
    path.write_bytes(clips.sound_with_cover)
    with pytest.raises(NoVideo, match="no video stream"):
        await probe(path, Asking(INSPECTION))


@pytest.mark.anyio
async def test_a_video_with_a_cover_picture_is_measured_by_its_video(clips: Clips, tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(clips.film_with_cover)
    assert (await probe(path, Asking(INSPECTION))).width == 160


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["-i", "%d", "$(touch x)", "a\nb", "concat:x", "http:||x", "-"])
async def test_a_name_is_only_a_name(clips: Clips, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(clips.film)
    assert (await probe(path, Asking(INSPECTION))).width == 160


@pytest.mark.anyio
async def test_a_playlist_is_not_followed_whatever_it_is_called(clips: Clips, tmp_path: Path) -> None:
    """FFmpeg would open each of these and read the file beside it."""
    (tmp_path / "film.ts").write_bytes(clips.container("ts"))
    playlists = {
        "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfilm.ts\n#EXT-X-ENDLIST\n",
        "list.mp4": "ffconcat version 1.0\nfile film.ts\n",
    }
    for name, content in playlists.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(NoVideo):
            await probe(tmp_path / name, Asking(INSPECTION))


@pytest.mark.anyio
async def test_a_probe_that_is_given_up_leaves_no_process(tmp_path: Path) -> None:
    """Opening a pipe that nobody writes to takes for ever."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    probing = asyncio.ensure_future(probe(path, Asking(INSPECTION)))
    await eventually(lambda: children_of(os.getpid(), "", INSPECTION))
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
    assert children_of(os.getpid(), "", INSPECTION) == []
