"""What a video is not to blame for: it is tried again for as long as that lasts, and no try is counted."""


class MachineFails(Exception):
    """A disk that cannot be written, a program that does not start, a lock that is never let go. For operators."""


class NoRoom(MachineFails):
    """The disk is full, or the quota."""
