"""The grants in memory, as the hot path asks for them, and found again by user or course when some of them end."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from cloud_service.access.models import ANY, Grant, Scope


class Grants:
    def __init__(self) -> None:
        self._of_user: dict[str, dict[str, Grant]] = {}
        self._users_of_course: defaultdict[str, set[str]] = defaultdict(set)

    def __len__(self) -> int:
        return sum(map(len, self._of_user.values()))

    def __iter__(self) -> Iterator[Grant]:
        return (grant for grants in list(self._of_user.values()) for grant in list(grants.values()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grants) and self._of_user == other._of_user

    __hash__ = None  # type: ignore[assignment] # it changes

    def get(self, user_id: str, course_id: str, video_id: str) -> Grant | None:
        """The user's grant to the whole course, or else to this video."""
        grants = self._of_user.get(user_id)
        return (grants.get(course_id) or grants.get(video_id)) if grants else None

    def find(self, scope: Scope) -> Grant | None:
        return self._of_user.get(scope.user_id, {}).get(scope.video_id or scope.course_id)

    def add(self, grant: Grant) -> None:
        scope = grant.scope
        self._of_user.setdefault(scope.user_id, {})[scope.video_id or scope.course_id] = grant
        self._users_of_course[scope.course_id].add(scope.user_id)

    def end(self, scopes: Iterable[Scope]) -> None:
        """Take away whatever one of the scopes covers."""
        for scope in scopes:
            for user_id in self._concerned(scope):
                kept = {
                    place: grant
                    for place, grant in self._of_user.get(user_id, {}).items()
                    if not scope.covers(grant.scope)
                }
                self._put(user_id, kept)

    def end_of_one_video(self, user_id: str, course_id: str) -> None:
        """Take away what opens single videos of the course to this user."""
        known = self._of_user.get(user_id, {})
        kept = {
            place: grant
            for place, grant in known.items()
            if grant.scope.course_id != course_id or grant.scope.video_id == ANY
        }
        if len(kept) < len(known):
            self._put(user_id, kept)

    def _concerned(self, scope: Scope) -> list[str]:
        if scope.user_id != ANY:
            return [scope.user_id]
        if scope.course_id != ANY:
            return list(self._users_of_course.get(scope.course_id, ()))
        return list(self._of_user)

    def _put(self, user_id: str, grants: dict[str, Grant]) -> None:
        gone = {grant.scope.course_id for grant in self._of_user.get(user_id, {}).values()}
        for course_id in gone - {grant.scope.course_id for grant in grants.values()}:
            self._users_of_course[course_id].discard(user_id)
            if not self._users_of_course[course_id]:
                del self._users_of_course[course_id]
        if grants:
            self._of_user[user_id] = grants
        else:
            self._of_user.pop(user_id, None)
