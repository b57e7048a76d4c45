"""Profile images: decoded to see that they are images, re-encoded without metadata, cropped square."""

import asyncio
import io
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from uuid import UUID

from PIL import Image, ImageOps

from vps_service.accounts.errors import NotAnImage, TooManyImages

FORMATS = ("JPEG", "PNG", "WEBP")
SIZES = {"square": 512, "thumbnail": 128}
MEDIA_TYPE = "image/webp"


def make_square(raw: bytes, max_pixels: int) -> dict[str, bytes]:
    """The image in each of SIZES as WebP. Raises NotAnImage.

    The pixel count is read from the header, before anything is decoded: a small file may unfold to gigabytes.
    """
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise NotAnImage(f"An image may have at most {max_pixels:,} pixels.")
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except NotAnImage:
        raise
    except Exception:  # a decoder given what it never expected raises whatever comes to it: TypeError, struct.error
        raise NotAnImage("The file is not a whole JPEG, PNG or WebP image.") from None
    return {name: _encoded(upright, side) for name, side in SIZES.items()}


def _encoded(image: Image.Image, side: int) -> bytes:
    target = io.BytesIO()
    ImageOps.fit(image, (side, side)).save(target, "WEBP", quality=85)
    return target.getvalue()


class ImageStore:
    """Profile images on this service's own disk. They are decoded one by one; `waiting` may wait for their turn."""

    def __init__(self, folder: Path, waiting: int = 8) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._gate = asyncio.Semaphore(1)  # a decoded image takes a hundred megabytes
        self._places = 1 + waiting

    async def add(self, image_id: UUID, raw: bytes, max_pixels: int) -> None:
        """Decode, crop and store; on disk for good when this returns. Raises NotAnImage, TooManyImages."""
        if self._places == 0:
            raise TooManyImages
        self._places -= 1
        try:
            async with self._gate:
                sizes = await asyncio.to_thread(make_square, raw, max_pixels)
        finally:
            self._places += 1
        await asyncio.to_thread(self._save, image_id, sizes)

    def path(self, image_id: UUID, size: str) -> Path:
        return self.folder / f"{image_id}-{size}.webp"

    def _save(self, image_id: UUID, sizes: dict[str, bytes]) -> None:
        for size, content in sizes.items():
            with self.path(image_id, size).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)  # which has their names
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def stored_before(self, moment: datetime) -> set[UUID]:
        """The images of which nothing was written since."""
        newest: dict[UUID, float] = {}
        for path in self.folder.glob("*.webp"):
            with suppress(FileNotFoundError, ValueError):  # removed meanwhile, or not one of ours
                image_id = UUID(path.stem.rpartition("-")[0])
                newest[image_id] = max(newest.get(image_id, 0), path.stat().st_mtime)
        return {image_id for image_id, written in newest.items() if written < moment.timestamp()}

    def remove(self, image_id: UUID) -> None:
        for size in SIZES:
            self.path(image_id, size).unlink(missing_ok=True)
