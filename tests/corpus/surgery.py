"""Opening an MP4 to change one of its boxes, and closing it again with every size around it right."""

from collections.abc import Callable

Edit = Callable[[bytes], bytes]

HEADERS = {b"stsd": 8, b"dref": 8, b"avc1": 78}
"""What some boxes hold before the boxes within them, in bytes."""


def box(kind: bytes, content: bytes = b"", size: int | None = None) -> bytes:
    """`size` is what it says, right or not."""
    return (8 + len(content) if size is None else size).to_bytes(4, "big") + kind + content


def full_box(kind: bytes, content: bytes, flags: int = 0) -> bytes:
    return box(kind, flags.to_bytes(4, "big") + content)


def parts(content: bytes) -> list[tuple[bytes, bytes]]:
    """The boxes side by side: kind and content."""
    found = []
    while len(content) >= 8:
        size = int.from_bytes(content[:4], "big")
        found.append((content[4:8], content[8:size]))
        content = content[size:]
    return found


def edited(content: bytes, path: str, edit: Edit) -> bytes:
    """Every box at `path`, as in "moov/trak/mdia", with its content changed.

    Of a file whose index is last, the media stay where they are.
    """
    kind, _, rest = path.partition("/")
    closed = []
    for found, inside in parts(content):
        if found == kind.encode():
            skipped = HEADERS.get(found, 0)
            inside = inside[:skipped] + edited(inside[skipped:], rest, edit) if rest else edit(inside)
        closed.append(box(found, inside))
    return b"".join(closed)


def overwritten(at: int, new: bytes) -> Edit:
    return lambda content: content[:at] + new + content[at + len(new) :]
