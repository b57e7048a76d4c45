"""Refusals are remembered for a moment, bounded in number, and never against somebody who knows better."""

import time
from uuid import uuid4

import pytest

from cloud_service.access import refusals as module
from cloud_service.access.models import ANY, Scope
from cloud_service.access.refusals import Refusals
from cloud_service.access.rights import Rights
from cloud_service.clock import uptime
from tests.cloud.things import denied

SARA = Scope("sara", "oud", "v1")


def remembered(*scopes: Scope, number: int = 5) -> Refusals:
    refusals = Refusals()
    for scope in scopes:
        refusals.add(scope, 0, denied(number))
    return refusals


def is_refused(refusals: Refusals, scope: Scope = SARA, *, generation: int = 0) -> bool:
    return refusals.get(scope.user_id, generation, scope.video_id) is not None


def test_a_refusal_is_for_one_user_one_token_and_one_video() -> None:
    refusals = remembered(SARA)
    assert is_refused(refusals)
    assert not is_refused(refusals, generation=1)
    assert not is_refused(refusals, Scope("mona", "oud", "v1"))
    assert not is_refused(refusals, Scope("sara", "oud", "v2"))


def test_a_refusal_ends_by_itself_after_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals, now = remembered(SARA), uptime()
    for later_s, holds in ((1.5, True), (2.1, False)):
        with monkeypatch.context() as machine:
            machine.setattr(time, "clock_gettime", lambda _, at=now + later_s: at)
            assert is_refused(refusals) is holds


@pytest.mark.anyio
@pytest.mark.parametrize(("after", "holds"), [(0, True), (4, True), (5, True), (6, False), (10**18, False)])
async def test_a_refusal_that_is_older_than_what_the_asker_knows_does_not_hold(
    rights: Rights, after: int, holds: bool
) -> None:
    assert rights.remember_refusal(SARA, 0, denied(5))
    assert (rights.refusal("sara", 0, "v1", after=after) is not None) is holds


CHANGED = [("sara", "oud", ANY), ("sara", ANY, ANY), (ANY, "oud", ANY), (ANY, "oud", "v1"), (ANY, ANY, ANY)]
ELSEWHERE = [("mona", "oud", ANY), (ANY, "piano", ANY), (ANY, "oud", "v2")]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("scope", "holds"), [*((Scope(*one), False) for one in CHANGED), *((Scope(*one), True) for one in ELSEWHERE)]
)
async def test_a_change_of_its_user_course_or_video_ends_a_refusal(rights: Rights, scope: Scope, holds: bool) -> None:
    """Also one that was on its way when the change was heard of."""
    assert rights.remember_refusal(SARA, 0, denied(5))
    vars(rights)["_changed"].mark([(scope, 6)])
    assert (rights.refusal("sara", 0, "v1", after=0) is not None) is holds
    assert rights.remember_refusal(SARA, 0, denied(5)) is holds


def test_however_many_are_refused_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 100)
    refusals = remembered(*(Scope(str(uuid4()), "oud", "v1") for _ in range(1000)))
    assert len(vars(refusals)["_refusals"]) <= 100
    refusals.add(SARA, 0, denied())
    assert is_refused(refusals)
