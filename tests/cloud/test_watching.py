"""Who is watching what, for as long as they do, and for no more people than there is room."""

import pytest

from cloud_service.access import watching as module
from cloud_service.access.watching import IDLE_S, Watching


def test_watching_is_of_one_user_and_one_video() -> None:
    watching = Watching()
    watching.goes_on("sara", "v1", 0)
    assert watching.includes("sara", "v1", 0)
    assert not watching.includes("sara", "v2", 0)
    assert not watching.includes("mona", "v1", 0)


def test_after_an_hours_pause_going_on_is_starting_anew() -> None:
    watching = Watching()
    watching.goes_on("sara", "v1", 0)
    assert watching.includes("sara", "v1", IDLE_S - 1)
    watching.goes_on("sara", "v1", IDLE_S - 1)
    assert watching.includes("sara", "v1", 2 * IDLE_S - 1)
    assert not watching.includes("sara", "v1", 2 * IDLE_S)


def test_of_too_many_the_idle_ones_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 100)
    watching = Watching()
    for number in range(1000):
        watching.goes_on(f"user {number}", "v1", number)
        watching.goes_on("sara", "v1", number)
        assert len(vars(watching)["_since"]) <= 101
    assert watching.includes("sara", "v1", 1000)
    assert watching.includes("user 999", "v1", 1000)
    assert not watching.includes("user 0", "v1", 1000)
