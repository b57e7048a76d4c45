from shared.schemas import Body, Moment, Out
from vps_service.accounts.schemas import GivenPassword


class Leave(Body):
    password: GivenPassword


class LeavingOut(Out):
    """Signing in before `due_at` takes it back."""

    asked_at: Moment
    due_at: Moment
