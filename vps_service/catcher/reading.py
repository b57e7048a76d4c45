"""What a caught mail says, whoever wrote it."""

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from vps_service.catcher.schemas import CaughtMail, MailOut

LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)]")
"""Not what ends the sentence around it."""


def read(mail: CaughtMail) -> MailOut:
    """Never raises: what cannot be read is shown as it came."""
    try:
        subject, text = _parsed(mail.content)
    except Exception:  # a parser given what it never expected raises whatever comes to it
        subject, text = "", mail.content.decode(errors="replace")
    return MailOut(
        id=mail.id,
        at=mail.at,
        sender=mail.sender,
        recipients=mail.recipients,
        subject=subject,
        text=text,
        links=LINK.findall(text),
    )


def _parsed(content: bytes) -> tuple[str, str]:
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    part = message.get_body(("plain", "html"))
    text = part.get_content() if part else ""
    return str(message["Subject"] or ""), str(text).replace("\r\n", "\n")
