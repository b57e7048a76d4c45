"""What becomes of a video whose worker kills itself at each of its kill points."""

import json
from collections.abc import Callable, Iterator

from tests.both.people import done
from tests.both.toptank import PROCESSED_WITHIN_S, eventually
from tests.faults.acts import Cast
from tests.faults.world import World

Scenario = Callable[[World, Cast], Iterator[None]]


def is_ready(cast: Cast, video_id: str) -> bool:
    """A node that has just begun may not know yet who may see it."""
    answer = cast.teacher.cloud.get(f"/videos/{video_id}")
    return answer.status_code == 200 and answer.json()["status"] == "ready"


def steps(cast: Cast, video_id: str) -> list[tuple[int, str, str]]:
    """Attempt, name and result of each."""
    went = done(cast.teacher.cloud.get(f"/videos/{video_id}/processing"))
    return [(step["attempt"], step["name"], step["result"]) for step in went["steps"]]


def makes_again_what_no_row_knows(world: World, cast: Cast) -> Iterator[None]:
    """Files lie in the video's folder and the row was never committed: they are nothing, and made once more."""
    _, video_id = cast.course_on_sale()
    yield
    eventually(lambda: is_ready(cast, video_id), PROCESSED_WITHIN_S)
    assert max(attempt for attempt, _, _ in steps(cast, video_id)) == 2


def makes_what_only_the_row_beside_it_knows(world: World, cast: Cast) -> Iterator[None]:
    """`video.json` told of a rendition before its files were there: in the end it says what the row does."""
    _, video_id = cast.course_on_sale()
    yield
    eventually(lambda: is_ready(cast, video_id), PROCESSED_WITHIN_S)
    assert max(attempt for attempt, _, _ in steps(cast, video_id)) == 2
    check_kept(world, video_id)


def check_kept(world: World, video_id: str) -> None:
    """That `video.json`, the row and the files of a video that is ready agree about its renditions."""
    (folder,) = (world.cloud.folder / "media" / "videos").glob(f"*/{video_id}")
    kept = json.loads((folder / "video.json").read_text())
    ((status, renditions),) = world.node_sql("SELECT status, renditions FROM videos WHERE id = ?", video_id)
    assert (kept["status"], kept["renditions"]) == (status, json.loads(renditions))
    assert {made["name"]: made["size"] for made in kept["renditions"]} == {
        path.stem: path.stat().st_size for path in folder.glob("*.mp4")
    }


def has_done_it(world: World, cast: Cast) -> Iterator[None]:
    """All was committed: the job is done, once, and the VPS hears of it. The next worker tidies up."""
    _, video_id = cast.course_on_sale()
    yield
    eventually(lambda: is_ready(cast, video_id), PROCESSED_WITHIN_S)
    assert max(attempt for attempt, _, _ in steps(cast, video_id)) == 1
    assert world.node_sql("SELECT * FROM jobs") == []
    eventually(lambda: not list((world.cloud.folder / "media" / "work").iterdir()))


SCENARIOS: dict[str, Scenario] = {
    "processing.row_kept": makes_what_only_the_row_beside_it_knows,
    "processing.moved:2": makes_again_what_no_row_knows,  # the first is the poster, which no row knows of
    "processing.ended": has_done_it,
}
