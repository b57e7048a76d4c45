"""How messages reach phones: what a provider must do for us, and one for trying things out on this machine."""

from email.message import EmailMessage
from typing import Protocol

import aiosmtplib

from vps_service.phones.errors import PhoneProviderUnreachable

TIMEOUT_S = 5.0


class PhoneSender(Protocol):
    async def send(self, phone: str, text: str) -> None:
        """Have the text delivered to this phone (E.164), soon. Raises PhoneProviderUnreachable."""
        ...


class LocalSender:
    """No phone hears of it: what would be sent is shown by the mail catcher."""

    def __init__(self, host: str, port: int | None) -> None:
        self.host, self.port = host, port

    async def send(self, phone: str, text: str) -> None:
        message = EmailMessage()
        message["From"] = "phones@toptank.invalid"
        message["To"] = f"{phone.removeprefix('+')}@phone.invalid"
        message["Subject"] = f"Text message to {phone}"
        message.set_content(text)
        try:
            await aiosmtplib.send(message, hostname=self.host, port=self.port, timeout=TIMEOUT_S, start_tls=False)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise PhoneProviderUnreachable(type(error).__name__) from None
