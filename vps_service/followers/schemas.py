from shared.schemas import Out


class FollowOut(Out):
    """The teacher as this caller now sees them."""

    username: str
    following: bool
    followers: int
    verified: bool
