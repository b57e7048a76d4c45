from typing import Annotated

from pydantic import StringConstraints

from shared.schemas import Body, Moment, Out


class Leave(Body):
    password: Annotated[str, StringConstraints(strip_whitespace=False, max_length=1000)]


class LeavingOut(Out):
    """Signing in before `due_at` takes it back."""

    asked_at: Moment
    due_at: Moment
