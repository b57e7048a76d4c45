"""Opening an AVI to change one of its lists, and closing it again with the sizes around it right."""

from collections.abc import Callable

LISTS = (b"RIFF", b"LIST")


def chunk(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


def listed(kind: bytes, content: bytes) -> bytes:
    return chunk(b"LIST", kind + content)


def edited(content: bytes, kind: bytes, edit: Callable[[bytes], bytes]) -> bytes:
    """Every list or chunk of this kind with its content changed."""
    closed = []
    while len(content) >= 8:
        size = int.from_bytes(content[4:8], "little")
        name, inside = content[:4], content[8 : 8 + size]
        if name in LISTS:
            of = inside[:4]
            inside = of + (edit(inside[4:]) if of == kind else edited(inside[4:], kind, edit))
        elif name == kind:
            inside = edit(inside)
        closed.append(chunk(name, inside))
        content = content[8 + size + size % 2 :]
    return b"".join(closed)
