from datetime import datetime

from shared.schemas import Moment, Out


class MailOut(Out):
    """`text` is the plain part, `links` are those in it."""

    id: int
    at: Moment
    sender: str
    recipients: list[str]
    subject: str
    text: str
    links: list[str]


class CaughtMail(Out):
    id: int
    at: datetime
    sender: str
    recipients: list[str]
    content: bytes
