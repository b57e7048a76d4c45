"""A real mail server on this machine, which keeps what it takes and can refuse it, or be away."""

import asyncio
import re
import ssl
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.processes import free_port

LINK = re.compile(r"https?://\S+#token=(\S+)")


@dataclass(frozen=True)
class Taken:
    """One mail as it came."""

    sender: str
    recipients: list[str]
    message: EmailMessage

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        assert isinstance(part, EmailMessage)
        return str(part.get_content())

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    @property
    def token(self) -> str:
        """Of the link in it."""
        found = LINK.search(self.text)
        assert found, self.text
        return found[1]


class MailServer:
    """`refusals` are its answers to recipients, `after_data` the one to a mail that it then does not keep."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, login: tuple[str, str] | None = None) -> None:
        self.port = free_port()
        self.mails: list[Taken] = []
        self.refusals: dict[str, str] = {}
        self.after_data = ""
        self.connections = 0
        self._tls, self._login = tls, login
        self._server: asyncio.Server | None = None
        self._open: list[SMTP] = []

    @property
    def settings(self) -> dict[str, Any]:
        return {"smtp_host": "127.0.0.1", "smtp_port": self.port, "smtp_security": "starttls" if self._tls else "none"}

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._connection, "127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        for connection in self._open:
            if isinstance(connection.transport, asyncio.Transport):
                connection.transport.abort()
        self._open.clear()
        self._server = None

    def _connection(self) -> SMTP:
        self.connections += 1
        connection = SMTP(
            self,
            hostname="mail.test",
            loop=asyncio.get_running_loop(),
            enable_SMTPUTF8=True,
            tls_context=self._tls,
            require_starttls=self._tls is not None,
            auth_required=self._login is not None,
            auth_require_tls=False,
            authenticator=self._authenticate,
        )
        self._open.append(connection)
        return connection

    def _authenticate(self, _: SMTP, __: Session, ___: Envelope, ____: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        return AuthResult(success=(given.login.decode(), given.password.decode()) == self._login, handled=False)

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:  # noqa: N802
        if refusal := self.refusals.get(address):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.after_data:
            return self.after_data
        message = message_from_bytes(envelope.original_content or b"", policy=default)
        assert isinstance(message, EmailMessage)
        recipients = [str(recipient) for recipient in envelope.rcpt_tos]
        self.mails.append(Taken(str(envelope.mail_from), recipients, message))
        return "250 OK"

    def to(self, address: str) -> list[Taken]:
        return [mail for mail in self.mails if address in mail.recipients]
