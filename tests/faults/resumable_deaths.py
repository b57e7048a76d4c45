"""As `node_deaths`, for uploads that can be resumed: what a client was told is on the disk is still there."""

from collections.abc import Callable, Iterator

from tests.both.people import done
from tests.both.toptank import eventually
from tests.faults.acts import Cast, answered, attempt
from tests.faults.world import World
from tests.tus.uploads import Upload, begin, create

Scenario = Callable[[World, Cast], Iterator[None]]


def _rows(world: World, upload_id: str) -> int:
    return len(world.node_sql("SELECT id FROM resumable_uploads WHERE id = ?", upload_id))


def _finish(world: World, cast: Cast, upload: Upload, at: int) -> None:
    """From where it says that it is."""
    assert upload.offset() == at
    done(upload.patch(at, cast.film[at:]), 204)
    _is_stored(cast, upload)


def _is_stored(cast: Cast, upload: Upload) -> None:
    assert upload.offset() == len(cast.film)
    assert answered(lambda: cast.teacher.watch(upload.id)).content == cast.film


def is_never_begun(world: World, cast: Cast) -> Iterator[None]:
    """Nobody was told where the upload is, and nothing is there."""
    course = cast.draft()
    before = world.node_sql("SELECT id FROM resumable_uploads")
    yield
    assert attempt(lambda: create(cast.teacher, len(cast.film), lesson_id=course.lesson_id)) is None
    yield
    assert world.node_sql("SELECT id FROM resumable_uploads") == before
    _finish(world, cast, begin(cast.teacher, len(cast.film), lesson_id=course.lesson_id), 0)


def goes_on_behind_bytes_without_an_answer(world: World, cast: Cast) -> Iterator[None]:
    upload = begin(cast.teacher, len(cast.film), lesson_id=cast.draft().lesson_id)
    half = len(cast.film) // 2
    yield
    assert attempt(lambda: upload.patch(0, cast.film[:half])) is None
    yield
    _finish(world, cast, upload, half)


def takes_the_last_byte_again(world: World, cast: Cast) -> Iterator[None]:
    """It was all there and no video yet, so the client is not told that it has ended."""
    course = cast.draft()
    upload = begin(cast.teacher, len(cast.film), lesson_id=course.lesson_id)
    done(upload.patch(0, cast.film[:1000]), 204)
    yield
    assert attempt(lambda: upload.patch(1000, cast.film[1000:])) is None
    yield
    _finish(world, cast, upload, len(cast.film) - 1)
    eventually(lambda: course.video_ids() == [upload.id])


def keeps_the_video(world: World, cast: Cast) -> Iterator[None]:
    """It was stored for good before the answer."""
    course = cast.draft()
    upload = begin(cast.teacher, len(cast.film), lesson_id=course.lesson_id)
    yield
    assert attempt(lambda: upload.patch(0, cast.film)) is None
    yield
    _is_stored(cast, upload)
    eventually(lambda: course.video_ids() == [upload.id])


def ends_an_upload(world: World, cast: Cast) -> Iterator[None]:
    upload = begin(cast.teacher, len(cast.film), lesson_id=cast.draft().lesson_id)
    done(upload.patch(0, cast.film[:1000]), 204)
    yield
    assert attempt(upload.delete) is None
    yield
    assert upload.head().status_code == 404
    assert _rows(world, upload.id) == 0


SCENARIOS: dict[str, Scenario] = {
    "tus.created": is_never_begun,
    "tus.appended": goes_on_behind_bytes_without_an_answer,
    "tus.completing": takes_the_last_byte_again,
    "tus.part_gone": ends_an_upload,
}
ON_THE_COMMON_WAY: dict[str, Scenario] = {
    "upload.renamed": takes_the_last_byte_again,
    "upload.committed": keeps_the_video,
}
"""Points of every upload, come to by one that can be resumed."""
