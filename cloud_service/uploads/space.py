"""Which of the disk's free bytes are spoken for by uploads under way, so that no two of them count on the same ones."""

import os
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

from cloud_service.uploads.errors import StorageFull


@dataclass(slots=True)
class Reservation:
    """Sizes in bytes: `size` in all, of which `written` are missing from the disk's free ones already.

    `quota_of` is the user on whose quota it is, or ''. What is to come of one that `has_lapsed` is open to others.
    """

    size: int
    written: int = 0
    quota_of: str = ""
    has_lapsed: bool = False

    @property
    def to_come(self) -> int:
        return 0 if self.has_lapsed else max(0, self.size - self.written)


class Space:
    """Every upload that is under way has a reservation here, from before its first byte until it is stored or gone.

    `kept_free` bytes of the disk of `folder` are for others: the database, and what is made of videos.
    """

    def __init__(self, folder: Path, kept_free: int) -> None:
        self._folder, self._kept_free = folder, kept_free
        self._reservations: dict[str, Reservation] = {}

    def under_way(self) -> frozenset[str]:
        """The uploads' ids."""
        return frozenset(self._reservations)

    def reserve(self, upload_id: str, size: int, up_to: int = 0, *, quota_of: str = "") -> int:
        """Room for `size` bytes in all, and for as many more `up_to` as there are; how many that makes.

        To be called again when it needs more, or may have lapsed; what was promised and has not is not judged again.
        Raises StorageFull, and leaves what was reserved before.
        """
        known = self._reservations.get(upload_id) or Reservation(0, has_lapsed=True)
        if size <= known.size and not known.has_lapsed:
            return known.size
        others = sum(one.to_come for name, one in self._reservations.items() if name != upload_id)
        available = known.written + self._free() - others
        if size > available:
            raise StorageFull(f"There is no room for {size} bytes.")
        granted = max(size, min(up_to, available))
        self._reservations[upload_id] = Reservation(granted, known.written, quota_of or known.quota_of)
        return granted

    def recall(self, upload_id: str, size: int, written: int, *, quota_of: str = "") -> None:
        """An upload from before the start, which was promised this room whatever else has filled the disk since."""
        self._reservations[upload_id] = Reservation(size, written, quota_of)

    def let_lapse(self, upload_id: str) -> None:
        """Nobody brings the rest of it for now: others may have that room, until it is reserved again."""
        if reservation := self._reservations.get(upload_id):
            reservation.has_lapsed = True

    def to_come(self, upload_ids: Iterable[str]) -> int:
        """The bytes that are kept free for these."""
        return sum(self._reservations[one].to_come for one in upload_ids if one in self._reservations)

    def wrote(self, upload_id: str, written: int) -> None:
        """So many bytes of the upload, in all, are on the disk."""
        if reservation := self._reservations.get(upload_id):
            reservation.written = written

    def release(self, upload_id: str) -> None:
        """It is stored, or gone. Nothing to release is no error."""
        self._reservations.pop(upload_id, None)

    def charged(self, user_id: str, besides: Container[str]) -> int:
        """The bytes that uploads under way will add to what this user keeps."""
        charged = (
            one.size for name, one in self._reservations.items() if one.quota_of == user_id and name not in besides
        )
        return sum(charged)

    def left(self) -> int:
        """What another upload could be promised."""
        return max(0, self._free() - sum(one.to_come for one in self._reservations.values()))

    def _free(self) -> int:
        """Bytes that may be reserved or are."""
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize - self._kept_free
