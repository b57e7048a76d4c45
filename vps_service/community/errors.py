from shared.problems import Conflict


class CannotShareWithOneself(Conflict):
    code, title = "cannot_share_with_oneself", "A video is its owner's anyway"
