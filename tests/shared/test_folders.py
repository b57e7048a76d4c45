"""A folder is worked in by one process at a time."""

from pathlib import Path

import pytest

from shared.folders import FolderInUse, hold


def test_a_folder_that_is_held_is_refused_until_it_is_let_go(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "node-1"
    with hold(folder), pytest.raises(FolderInUse, match="node-1"):
        hold(folder)
    with hold(folder):
        pass


def test_a_folder_that_cannot_be_made_says_so() -> None:
    with pytest.raises(OSError, match="Not a directory"):
        hold(Path("/dev/null/folder"))
