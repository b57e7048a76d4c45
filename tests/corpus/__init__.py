"""Malformed and hostile files, each with what must become of it; made by the tests, none taken from elsewhere."""

from tests.corpus import boxes, bytes_alone, other_containers, pictures, playlists, streams
from tests.corpus.entry import Hostile

CORPUS: tuple[Hostile, ...] = (
    *bytes_alone.ENTRIES,
    *playlists.ENTRIES,
    *boxes.ENTRIES,
    *other_containers.ENTRIES,
    *pictures.ENTRIES,
    *streams.ENTRIES,
)
