"""Handing a mail to the queue. It leaves with the commit of the transaction that wrote it, or not at all."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.mail.models import Mail
from vps_service.mail.templates import wanted_values

USEFUL_FOR = timedelta(days=3)
OURS = {"proof"}


async def queue(
    session: AsyncSession, *, to: str, template: str, language: str = "en", until: datetime | None = None, **values: str
) -> None:
    """Have the mail sent once this transaction is committed, later if no mail server can be reached, but not after
    `until`, by default three days.

    `values` are what the template names, and nothing else. A link that proves something is never among them: give the
    id of the proof as `proof`, and the token is made when the mail is sent. Raises KeyError for an unknown template,
    ValueError for other values than it names.
    """
    if (given := set(values) - OURS) != (wanted := wanted_values(template)):
        raise ValueError(f"{template} needs {sorted(wanted)}, not {sorted(given)}")
    useful_until = until or datetime.now(UTC) + USEFUL_FOR
    session.add(Mail(address=to, template=template, language=language, values=values, useful_until=useful_until))
    await session.flush()
