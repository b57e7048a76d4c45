"""Recovering a forgotten password, while others cannot be answered."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.mail_server import MailServer
from tests.vps.people import done, make_student
from tests.vps.running import Vps
from tests.vps.test_proofs import RESET, SARA, forgot, mails_to
from tests.vps.waiting import comes_true
from vps_service.accounts.proofs import answer_forgotten, forget_old
from vps_service.mail.sending import send_due

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("mail_server")]


async def test_a_request_that_cannot_be_answered_now_keeps_nobody_else_waiting(
    vps: Vps, mail_server: MailServer
) -> None:
    await make_student(vps)
    await make_student(vps, "ali")

    async def ali_is_mailed() -> bool:
        await send_due(vps.sessions, vps.settings)
        return any(mail.subject == RESET for mail in mail_server.to("ali@example.com"))

    async with vps.sessions() as session:
        await session.execute(text("SELECT 1 FROM users WHERE username = 'sara' FOR UPDATE"))
        for login in ("sara", "sara", "ali"):
            done(await forgot(vps, login), 202)
        await comes_true(ali_is_mailed)
        assert len(await vps.rows("SELECT 1 FROM forgotten_passwords")) == 2
        await session.rollback()
    assert await mails_to(vps, mail_server, SARA, RESET)


async def test_what_could_not_be_answered_for_a_day_is_forgotten(vps: Vps) -> None:
    await make_student(vps)
    async with vps.sessions() as session:
        await session.execute(text("SELECT 1 FROM users WHERE username = 'sara' FOR UPDATE"))
        for hours in (23, 25):
            values = "VALUES (gen_random_uuid(), 'sara', now() - :age)"
            await vps.rows(
                f"INSERT INTO forgotten_passwords (id, login, created_at) {values}", age=timedelta(hours=hours)
            )
        assert await answer_forgotten(vps.sessions, vps.settings) == 0
        async with vps.sessions() as another, another.begin():
            await forget_old(another)
        assert len(await vps.rows("SELECT 1 FROM forgotten_passwords")) == 1
        await session.rollback()
