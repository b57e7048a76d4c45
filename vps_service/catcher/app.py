"""A mail server for trying things out: it takes mail to anybody, shows it on a page, and sends it to nobody."""

import asyncio
import base64
import hashlib
import html
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse

from shared import problems
from shared.logs import RequestLog
from vps_service.catcher.caught import Caught
from vps_service.catcher.reading import LINK, read
from vps_service.catcher.schemas import MailOut
from vps_service.catcher.settings import CatcherSettings

MAIL_BYTES = 2 * 2**20
STYLE = """body{font:1rem sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}
pre{white-space:pre-wrap;font:inherit;border:1px solid #ccc;padding:1rem;unicode-bidi:plaintext}
td{padding:.3rem 1rem .3rem 0;vertical-align:top}"""
HEAD = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Mail catcher</title>
<meta name="viewport" content="width=device-width"><style>{STYLE}</style>
"""
ROW = '<tr><td>{at}<td>{recipients}<td><a href="/mails/{id}">{subject}</a>'
MAIL = """<p><a href="/">All mails</a></p><h1>{subject}</h1>
<p>From {sender}<br>To {recipients}<br>{at}</p><pre dir="auto">{text}</pre>
<p><a href="/mails/{id}/raw">As it came</a></p>"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class MailNotFound(problems.NotFound):
    code, title = "mail_not_found", "There is no such mail"


class Handler:
    """What aiosmtpd tells of every mail."""

    def __init__(self, caught: Caught) -> None:
        self.caught = caught

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802
        recipients = [str(recipient) for recipient in envelope.rcpt_tos]
        content = envelope.original_content or b""
        await asyncio.to_thread(self.caught.keep, str(envelope.mail_from), recipients, content)
        return "250 OK"


def _fields(mail: MailOut) -> dict[str, str]:
    """Everything escaped: whoever can send a mail here writes what they like."""
    return {
        "id": str(mail.id),
        "at": f"{mail.at:%Y-%m-%d %H:%M:%S} UTC",
        "sender": html.escape(mail.sender),
        "recipients": html.escape(", ".join(mail.recipients)),
        "subject": html.escape(mail.subject) or "(no subject)",
    }


def _clickable(text: str) -> str:
    """Escaped, its links as links; a link's characters need no escape but for the ampersand."""
    parts, end = [], 0
    for found in LINK.finditer(text):
        address = html.escape(found[0])
        link = f'<a href="{address}" rel="noreferrer">{address}</a>'
        parts += [html.escape(text[end : found.start()]), link]
        end = found.end()
    return "".join([*parts, html.escape(text[end:])])


def create_app(settings: CatcherSettings, smtp: socket.socket) -> FastAPI:
    """The page; as long as it is served, mail is taken on the bound socket `smtp`."""
    caught = Caught(settings.data_dir / "catcher.sqlite3", settings.catcher_mails)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()

        def protocol() -> SMTP:
            handler = Handler(caught)
            return SMTP(handler, hostname="catcher", loop=loop, data_size_limit=MAIL_BYTES, enable_SMTPUTF8=True)

        server = await loop.create_server(protocol, sock=smtp)
        yield
        server.close()

    app = FastAPI(title="TopTank mail catcher", version="1", openapi_url=None, lifespan=lifespan)
    problems.install(app)
    app.add_middleware(RequestLog)

    def shown(body: str) -> HTMLResponse:
        return HTMLResponse(f"{HEAD}{body}</html>", headers=HEADERS)

    @app.get("/health/live")
    def live() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/")
    def home() -> RedirectResponse:
        return RedirectResponse("/mails")

    @app.get("/mails")
    def list_mails() -> HTMLResponse:
        rows = "\n".join(ROW.format(**_fields(read(mail))) for mail in caught.newest())
        return shown(f"<h1>Mails</h1><table>{rows}</table>" if rows else "<h1>Mails</h1><p>None so far.</p>")

    @app.get("/mails/{mail_id}")
    def show_mail(mail_id: int) -> HTMLResponse:
        if (mail := caught.get(mail_id)) is None:
            raise MailNotFound
        told = read(mail)
        return shown(MAIL.format(**_fields(told), text=_clickable(told.text)))

    @app.get("/mails/{mail_id}/raw")
    def show_source(mail_id: int) -> PlainTextResponse:
        if (mail := caught.get(mail_id)) is None:
            raise MailNotFound
        return PlainTextResponse(mail.content.decode(errors="replace"), headers=HEADERS)

    @app.get("/api/mails")
    def tell_mails(to: str | None = None) -> list[MailOut]:
        """The newest first; for tests and the demo."""
        return [read(mail) for mail in caught.newest(to)]

    return app
