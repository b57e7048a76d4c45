"""Profile images: decoded, made square, stored anew; nothing of the file itself survives."""

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image

from tests.vps.people import ask_to_teach, done, picture, refused, teacher_form
from tests.vps.running import ORIGIN, Vps

pytestmark = pytest.mark.anyio

RED, BLUE = (220, 20, 20), (20, 20, 220)


async def shown(vps: Vps, image: bytes, size: str = "square") -> Image.Image:
    """The image as everybody sees it, once a teacher has registered with it."""
    user = done(await ask_to_teach(vps, teacher_form(), image), 201)["user"]
    response = await vps.http.get(user["image"][size])
    assert response.status_code == 200
    return Image.open(io.BytesIO(response.content))


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def halves(width: int, height: int) -> Image.Image:
    """Red above blue."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (0, height // 2, width, height))
    return image


def close(pixel: Any, colour: tuple[int, int, int]) -> bool:
    return all(abs(a - b) < 40 for a, b in zip(pixel, colour, strict=True))


def bomb(side: int) -> bytes:
    """A PNG of side × side pixels in a few kilobytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 2) * side), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_an_image_comes_back_square_in_two_sizes(vps: Vps, kind: str) -> None:
    user = done(await ask_to_teach(vps, teacher_form(), picture(640, 480, kind)), 201)["user"]
    for size, side in (("square", 512), ("thumbnail", 128)):
        response = await vps.http.get(user["image"][size].removeprefix(vps.settings.vps_url))
        image = Image.open(io.BytesIO(response.content))
        assert (image.format, image.size) == ("WEBP", (side, side))
        assert response.headers["content-type"] == "image/webp"
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "I;16"])
async def test_every_way_to_hold_colours_is_read(vps: Vps, mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    raw = file_of(Image.new(mode, (30, 20)), kind)
    done(await ask_to_teach(vps, teacher_form(), raw), 201)


@pytest.mark.settings(vps_url=ORIGIN)
async def test_the_turn_that_a_camera_wrote_down_is_made(vps: Vps) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # the camera was held upside down
    image = await shown(vps, file_of(halves(100, 100), "JPEG", exif=exif, quality=95))
    assert close(image.getpixel((256, 40)), BLUE)
    assert close(image.getpixel((256, 470)), RED)


@pytest.mark.settings(vps_url=ORIGIN)
async def test_where_and_with_what_it_was_taken_is_gone(vps: Vps) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x9286] = "SpyCam 3000", "30.0444N 31.2357E"
    user = done(await ask_to_teach(vps, teacher_form(), file_of(halves(50, 50), "JPEG", exif=exif)), 201)["user"]
    content = (await vps.http.get(user["image"]["square"])).content
    assert b"SpyCam" not in content
    assert b"30.0444N" not in content
    assert not Image.open(io.BytesIO(content)).getexif()


@pytest.mark.settings(vps_url=ORIGIN)
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
async def test_of_an_animation_the_first_picture_is_kept(vps: Vps, kind: str) -> None:
    frames = [Image.new("RGB", (60, 60), colour) for colour in (RED, BLUE, BLUE)]
    raw = file_of(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
    image = await shown(vps, raw)
    assert getattr(image, "n_frames", 1) == 1
    assert close(image.convert("RGB").getpixel((200, 200)), RED)


@pytest.mark.settings(vps_url=ORIGIN)
async def test_the_middle_of_a_wide_image_is_kept(vps: Vps) -> None:
    wide = Image.new("RGB", (300, 100), BLUE)
    wide.paste(RED, (100, 0, 200, 100))
    image = await shown(vps, file_of(wide, "PNG"))
    assert close(image.getpixel((20, 256)), RED)
    assert close(image.getpixel((490, 256)), RED)


NOT_IMAGES: dict[str, bytes] = {
    "nothing": b"",
    "text": b"this is not an image",
    "HTML": b"<html><script>alert(1)</script></html>",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "GIF": picture(kind="GIF"),
    "BMP": picture(kind="BMP"),
    "TIFF": picture(kind="TIFF"),
    "ICO": picture(kind="ICO"),
    "PDF": picture(kind="PDF"),
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "half a JPEG": picture(400, 400, "JPEG")[:-2000],
    "half a PNG": file_of(halves(400, 400), "PNG")[:200],
    "half a WebP": file_of(halves(400, 400), "WEBP")[:150],
    "the head of a PNG": b"\x89PNG\r\n\x1a\n",
    "a PNG with a wrong checksum": picture()[:40] + b"\xff" + picture()[41:],
    "40 megapixels": bomb(6400),
    "400 megapixels": bomb(20_000),
}


async def test_what_is_no_whole_still_image_of_bearable_size_is_refused(vps: Vps) -> None:
    for name, raw in NOT_IMAGES.items():
        response = await ask_to_teach(vps, teacher_form(), raw)
        assert response.status_code == 422, (name, response.text)
        assert refused(response, 422, "not_an_image")["errors"][0]["field"] == "body.image"
    assert await vps.rows("SELECT 1 FROM users") == []
    assert list((vps.settings.data_dir / "images").iterdir()) == []


def from_a_camera() -> bytes:
    """A JPEG with EXIF as cameras write it: numbers, fractions, text, and a second directory."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "A camera", 72.0
    exif.get_ifd(0x8769).update({0x829A: 0.01, 0x8827: 400, 0x9003: "2026:11:21 09:00:00", 0x927C: b"maker" * 20})
    return file_of(halves(64, 64), "JPEG", exif=exif)


def flipped(whole: bytes, place: int, bits: int = 0xFF) -> bytes:
    return whole[:place] + bytes([whole[place] ^ bits]) + whole[place + 1 :]


async def refusal(vps: Vps, image: bytes) -> str:
    """Why this image makes nobody a teacher; for one that can be used that is the username, which is looked at last."""
    response = await ask_to_teach(vps, teacher_form("taken"), image)
    assert response.status_code in (409, 422), response.text
    return str(response.json()["code"])


async def test_a_file_damaged_anywhere_is_taken_or_refused_but_never_an_error(vps: Vps) -> None:
    done(await ask_to_teach(vps, teacher_form("taken")), 201)
    for kind in ("PNG", "JPEG", "WEBP"):
        whole = file_of(halves(64, 64), kind)
        for place in range(0, len(whole), max(1, len(whole) // 15)):
            for damaged in (whole[:place], flipped(whole, place)):
                assert await refusal(vps, damaged) in ("not_an_image", "already_taken"), (kind, place)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # it says what is wrong with the file
async def test_damaged_exif_is_no_error_of_ours(vps: Vps) -> None:
    done(await ask_to_teach(vps, teacher_form("taken")), 201)
    whole = from_a_camera()
    directory = whole.index(b"Exif\0\0") + 14
    assert await refusal(vps, whole) == "already_taken"
    said = {await refusal(vps, flipped(whole, directory + place, 7)) for place in range(40)}
    assert said == {"not_an_image", "already_taken"}


async def test_an_image_whose_teacher_came_to_nothing_is_removed(vps: Vps) -> None:
    done(await ask_to_teach(vps, teacher_form("omar")), 201)
    refused(await ask_to_teach(vps, teacher_form("omar")), 409, "already_taken")
    refused(await ask_to_teach(vps, teacher_form("huda", password="password")), 422, "validation_failed")
    assert len(list((vps.settings.data_dir / "images").iterdir())) == 2


async def test_a_body_too_large_is_refused_by_its_declared_length_alone(vps: Vps) -> None:
    read = 0

    async def endless() -> Any:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 65_536

    headers = {"Content-Length": str(vps.settings.image_bytes + 10**6), "Content-Type": "multipart/form-data"}
    response = await vps.http.post("/api/auth/register/teacher", content=endless(), headers=headers)
    refused(response, 413, "too_large")
    assert read == 0


@pytest.mark.settings(image_bytes=100_000)
@pytest.mark.parametrize("path", ["/api/auth/register", "/api/auth/register/teacher", "/api/auth/login"])
async def test_a_body_that_does_not_say_its_length_is_cut_at_the_limit(vps: Vps, path: str) -> None:
    sent = 0

    async def huge() -> Any:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        while sent < 10_000_000:
            sent += 65_536
            yield b"x" * 65_536

    kind = "multipart/form-data; boundary=x" if path.endswith("teacher") else "application/json"
    response = await vps.http.post(path, content=huge(), headers={"Content-Type": kind})
    refused(response, 413, "too_large")
    assert sent < 400_000


async def test_images_are_found_by_id_and_size_only(vps: Vps) -> None:
    unknown = "019a0000-0000-7000-8000-000000000000"
    refused(await vps.http.get(f"/api/images/{unknown}/square"), 404, "image_not_found")
    refused(await vps.http.get(f"/api/images/{unknown}/original"), 422, "validation_failed")
    refused(await vps.http.get("/api/images/..%2f..%2fsecrets%2faccess_key/square"), 404, "not_found")
    refused(await vps.http.get("/api/images/access_key/square"), 422, "validation_failed")
