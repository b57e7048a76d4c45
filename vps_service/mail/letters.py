"""A queued mail as it is sent: plain text, and the same as HTML."""

from datetime import UTC
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from urllib.parse import urlsplit
from uuid import UUID

from vps_service.mail.links import link, proof_token
from vps_service.mail.models import Mail
from vps_service.mail.templates import PAGES, wanted_values, wording
from vps_service.settings import VpsSettings

WRITTEN_FROM_THE_RIGHT = ("ar",)
HTML = """<!doctype html><html lang="{language}" dir="{direction}"><meta charset="utf-8">
<body style="font:16px/1.5 sans-serif;max-width:36em">{paragraphs}</body></html>"""


def letter(mail: Mail, settings: VpsSettings) -> EmailMessage:
    """The same for the same mail whoever makes it, its Message-ID too. Raises KeyError, ValueError for a template or a
    value that this release does not know what to do with.
    """
    subject, text = wording(mail.template, mail.language)
    address = _link(mail, settings)
    until = f"{mail.useful_until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    not_told = dict.fromkeys(wanted_values(mail.template), "-")  # by a release that did not tell it yet
    text = text.format_map({**not_told, **mail.values, "link": address, "until": until})
    message = EmailMessage(policy=SMTP)
    message["From"] = settings.sender
    message["To"] = mail.address
    message["Subject"] = subject
    message["Date"] = format_datetime(mail.created_at)
    message["Message-ID"] = f"<{mail.id}@{urlsplit(settings.vps_url).hostname}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine answers it
    message.set_content(text)
    message.add_alternative(_html(text, address, mail.language), subtype="html")
    return message


def _link(mail: Mail, settings: VpsSettings) -> str:
    page = PAGES.get(mail.template)
    if page is None:
        return settings.pages_url
    proof = mail.values.get("proof")
    return link(settings.pages_url, page, proof_token(settings.access_key, UUID(proof)) if proof else None)


def _html(text: str, address: str, language: str) -> str:
    shown = escape(address)
    clickable = f'<a href="{shown}">{shown}</a>'
    paragraphs = "".join(f"<p>{escape(part).replace(shown, clickable)}</p>\n" for part in text.split("\n\n"))
    known = language.partition("-")[0].lower()
    direction = "rtl" if known in WRITTEN_FROM_THE_RIGHT else "ltr"
    return HTML.format(language=escape(known), direction=direction, paragraphs=paragraphs)
