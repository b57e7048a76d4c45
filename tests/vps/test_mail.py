"""Mails: queued with what they tell of, sent once, by a real mail server, whatever that does meanwhile."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.mail_server import MailServer
from tests.vps.certificates import self_signed
from tests.vps.people import PASSWORD, done, make_student, student_form
from tests.vps.running import Vps, running
from tests.vps.waiting import comes_true
from vps_service.mail.actions import queue
from vps_service.mail.sending import forget_useless, send_due
from vps_service.mail.templates import PAGES, TEMPLATES, wanted_values
from vps_service.settings import VpsSettings

pytestmark = pytest.mark.anyio

SARA = "sara@example.com"


async def queue_mail(vps: Vps, to: str = SARA, template: str = "password_changed", **more: Any) -> None:
    async with vps.sessions() as session, session.begin():
        await queue(session, to=to, template=template, **more)


async def waiting(vps: Vps) -> list[dict[str, Any]]:
    return await vps.rows("SELECT * FROM mails ORDER BY id")


async def make_due(vps: Vps) -> None:
    """As if the time had passed that is waited before the next try."""
    await vps.rows("UPDATE mails SET due_at = now()")


def by(vps: Vps, server: MailServer, **changes: Any) -> VpsSettings:
    """The service's settings with this mail server, for which no job of the service looks."""
    return vps.settings.model_copy(update=server.settings | changes)


@pytest.fixture
async def post(vps: Vps) -> Any:
    """A mail server of which the running service knows nothing, so that a test decides when mail is sent."""
    server = MailServer()
    await server.start()
    yield server
    await server.stop()


async def test_a_mail_leaves_with_the_commit_or_not_at_all(vps: Vps, mail_server: MailServer) -> None:
    with pytest.raises(ZeroDivisionError):
        async with vps.sessions() as session, session.begin():
            await queue(session, to="nobody@example.com", template="password_changed")
            raise ZeroDivisionError
    await queue_mail(vps)

    async def came() -> bool:
        return bool(mail_server.mails) and not await waiting(vps)

    await comes_true(came)
    assert [mail.recipients for mail in mail_server.mails] == [[SARA]]


async def test_a_mail_says_what_mail_programs_want_to_know(vps: Vps, post: MailServer) -> None:
    await queue_mail(vps)
    assert await send_due(vps.sessions, by(vps, post, vps_url="https://courses.example")) == 1
    (mail,) = post.mails
    assert mail.sender == "no-reply@courses.example"
    assert mail.message["From"] == "TopTank <no-reply@courses.example>"
    assert mail.message["To"] == SARA
    assert mail.message["Message-ID"].endswith("@courses.example>")
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert abs(parsedate_to_datetime(mail.message["Date"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert [part.get_content_type() for part in mail.message.walk()] == [
        *("multipart/alternative", "text/plain", "text/html")
    ]
    assert 'href="https://courses.example/forgot-password"' in mail.html


async def test_an_arabic_mail_reads_from_the_right_and_an_unknown_language_is_english(
    vps: Vps, post: MailServer
) -> None:
    for language in ("ar", "ar-EG", "tlh"):
        await queue_mail(vps, language=language)
    await send_due(vps.sessions, by(vps, post))
    assert [mail.subject for mail in post.mails] == ["تم تغيير كلمة مرورك"] * 2 + ["Your password was changed"]
    assert 'lang="ar" dir="rtl"' in post.mails[0].html
    assert 'dir="ltr"' in post.mails[2].html


def test_every_template_has_every_language_and_names_the_same_values() -> None:
    for template, by_language in TEMPLATES.items():
        assert set(by_language) == {"en", "ar"}, template
        for subject, text in by_language.values():
            assert subject
            named = wanted_values(template) | {"link", "until"}
            text.format_map({name: name for name in named})
            assert "{link}" in text or template not in PAGES


async def test_a_mail_of_no_template_or_without_its_values_is_refused_when_it_is_queued(vps: Vps) -> None:
    with pytest.raises(KeyError):
        await queue_mail(vps, template="greetings")
    with pytest.raises(ValueError, match="password_changed needs"):
        await queue_mail(vps, name="Sara")
    assert await waiting(vps) == []


async def test_while_the_mail_server_is_down_signing_up_works_and_its_mail_comes_later_once(
    vps: Vps, mail_server: MailServer
) -> None:
    """Fault 37."""
    await mail_server.stop()
    people = ("sara", "omar", "mona")
    for name in people:
        await make_student(vps, name)

    async def was_tried() -> bool:
        return all(row["tries"] for row in await waiting(vps))

    await comes_true(was_tried)
    assert len(await waiting(vps)) == len(people)
    await mail_server.start()

    async def all_came() -> bool:
        return not await waiting(vps)

    await comes_true(all_came)
    assert sorted(mail.recipients[0] for mail in mail_server.mails) == sorted(f"{name}@example.com" for name in people)


async def test_after_an_outage_only_links_that_are_still_good_are_sent(vps: Vps, post: MailServer) -> None:
    student = await make_student(vps)
    for _ in range(3):
        done(await student.post("/api/auth/verify-email/resend"), 202)
    wanted = {"new_email": "thief@example.com", "password": PASSWORD}
    done(await student.post("/api/users/me/email", wanted), 202)
    change = {"old_password": PASSWORD, "new_password": "four strings and a bow"}
    done(await student.post("/api/auth/change-password", change), 204)
    await send_due(vps.sessions, by(vps, post))
    (mail,) = post.mails
    assert mail.recipients == [SARA]
    done(await vps.http.post("/api/auth/verify-email", json={"token": mail.token}), 204)


async def test_several_processes_send_each_mail_once(vps: Vps, mail_server: MailServer) -> None:
    async with running(vps.settings, vps.secrets), running(vps.settings, vps.secrets):
        for number in range(60):
            await queue_mail(vps, to=f"student{number}@example.com")
        await asyncio.gather(*(send_due(vps.sessions, vps.settings) for _ in range(4)))

        async def all_went() -> bool:
            return not await waiting(vps)

        await comes_true(all_went)
    assert sorted(mail.recipients for mail in mail_server.mails) == sorted(
        [f"student{number}@example.com"] for number in range(60)
    )


async def test_the_mail_of_a_sender_that_died_is_sent_by_another_as_the_same_mail(vps: Vps, post: MailServer) -> None:
    await queue_mail(vps)
    post.after_data = "451 try later"
    await send_due(vps.sessions, by(vps, post))
    (row,) = await waiting(vps)
    # As one leaves it that dies while it sends: taken, and not given back.
    await vps.rows("UPDATE mails SET due_at = now() + interval '3 minutes'")
    post.after_data = ""
    assert await send_due(vps.sessions, by(vps, post)) == 0
    await make_due(vps)
    assert await send_due(vps.sessions, by(vps, post)) == 1
    (mail,) = post.mails
    assert mail.message["Message-ID"].startswith(f"<{row['id']}@")
    assert await waiting(vps) == []


async def test_a_stop_while_the_server_has_the_mail_does_not_send_it_again(vps: Vps, post: MailServer) -> None:
    await queue_mail(vps)
    answer = post.handle_DATA

    async def slowly(*arguments: Any) -> str:
        said = await answer(*arguments)
        stopping.cancel()
        await asyncio.sleep(0.2)
        return said

    post.handle_DATA = slowly  # type: ignore[assignment,method-assign]
    stopping = asyncio.ensure_future(send_due(vps.sessions, by(vps, post)))
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert len(post.mails) == 1
    assert await waiting(vps) == []


async def test_a_refused_recipient_is_given_up_and_holds_up_nobody(vps: Vps, post: MailServer) -> None:
    post.refusals = {"gone@example.com": "550 no such user", "full@example.com": "452 mailbox full"}
    for name in ("gone", "full", "sara"):
        await queue_mail(vps, to=f"{name}@example.com")
    for _ in range(4):
        await send_due(vps.sessions, by(vps, post))
        await make_due(vps)
    assert [mail.recipients for mail in post.mails] == [[SARA]]
    assert [row["address"] for row in await waiting(vps)] == ["full@example.com"]
    post.refusals.clear()
    assert await send_due(vps.sessions, by(vps, post)) == 1


async def test_the_figures_show_how_much_mail_waits_and_how_long(vps: Vps) -> None:
    async def figures() -> dict[str, float]:
        lines = (await vps.http.get("/metrics")).text.splitlines()
        told = dict(line.rsplit(" ", 1) for line in lines if line.startswith("toptank_mails_waiting"))
        return {name: float(value) for name, value in told.items()}

    assert set((await figures()).values()) == {0}
    await queue_mail(vps)
    await queue_mail(vps)
    await vps.rows("UPDATE mails SET created_at = now() - interval '1 hour'")
    now = await figures()
    assert now["toptank_mails_waiting"] == 2
    assert 3600 <= now["toptank_mails_waiting_seconds"] < 3700


async def test_each_failure_is_waited_out_longer_than_the_one_before(vps: Vps, post: MailServer) -> None:
    await post.stop()
    await queue_mail(vps)
    for number in range(1, 6):
        before = (await vps.row("SELECT clock_timestamp() AS now"))["now"]
        await send_due(vps.sessions, by(vps, post))
        put_off = await vps.row("SELECT due_at, now() AS after FROM mails")
        # The wait began between the two, which a slow machine lets lie far apart.
        assert put_off["due_at"] - before > timedelta(seconds=0.5 * 2**number)
        assert put_off["due_at"] - put_off["after"] < timedelta(seconds=1.5 * 2**number)
        await make_due(vps)


async def test_a_mail_that_came_too_late_is_forgotten_and_not_sent(vps: Vps, post: MailServer) -> None:
    await queue_mail(vps, until=datetime.now(UTC) - timedelta(seconds=1))
    await queue_mail(vps, to="omar@example.com")
    await send_due(vps.sessions, by(vps, post))
    assert [mail.recipients for mail in post.mails] == [["omar@example.com"]]
    assert await forget_useless(vps.sessions) == 1
    assert await waiting(vps) == []


async def test_a_mail_that_a_release_does_not_know_is_left_to_a_newer_one(vps: Vps, post: MailServer) -> None:
    await queue_mail(vps)
    await queue_mail(vps, to="omar@example.com")
    await vps.rows("UPDATE mails SET template = 'of_next_year' WHERE address = :to", to=SARA)
    await send_due(vps.sessions, by(vps, post))
    assert [mail.recipients for mail in post.mails] == [["omar@example.com"]]
    assert [row["address"] for row in await waiting(vps)] == [SARA]


async def test_a_mail_that_the_release_before_queued_without_what_this_one_tells_is_sent_all_the_same(
    vps: Vps, post: MailServer
) -> None:
    await make_student(vps)
    await vps.rows("UPDATE mails SET values = values - 'username'")
    await send_due(vps.sessions, by(vps, post))
    assert post.to(SARA)[0].token


async def test_an_address_in_letters_of_any_script_gets_its_mail(vps: Vps, post: MailServer) -> None:
    for number, address in enumerate(("منى@example.com", "sara@مثال.com", "o'neil+x@example.com")):
        done(await vps.http.post("/api/auth/register", json=student_form(f"student{number}", email=address)), 201)
    assert await send_due(vps.sessions, by(vps, post)) == 3
    assert await waiting(vps) == []


async def test_no_mail_goes_to_a_server_whose_certificate_nobody_vouches_for(vps: Vps, tmp_path: Path) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(self_signed(tmp_path, "127.0.0.1"))
    server = MailServer(tls=tls)
    await server.start()
    await queue_mail(vps)
    try:
        assert await send_due(vps.sessions, by(vps, server)) == 0
        assert server.connections == 1
        assert server.mails == []
        await make_due(vps)
        assert await send_due(vps.sessions, by(vps, server, smtp_security="tls")) == 0
    finally:
        await server.stop()
    assert len(await waiting(vps)) == 1


async def test_a_server_without_tls_gets_no_mail_where_tls_is_wanted(vps: Vps, post: MailServer) -> None:
    await queue_mail(vps)
    assert await send_due(vps.sessions, by(vps, post, smtp_security="starttls")) == 0
    assert post.mails == []
    assert len(await waiting(vps)) == 1


async def test_the_service_signs_in_at_a_mail_server_that_wants_it(vps: Vps) -> None:
    password = uuid4().hex
    server = MailServer(login=("toptank", password))
    await server.start()
    try:
        await queue_mail(vps)
        assert await send_due(vps.sessions, by(vps, server)) == 0
        await make_due(vps)
        told = vps.settings.model_dump() | server.settings
        told |= {"smtp_username": "toptank", "smtp_password": password}
        assert await send_due(vps.sessions, VpsSettings.model_validate(told)) == 1
    finally:
        await server.stop()
    assert len(server.mails) == 1
