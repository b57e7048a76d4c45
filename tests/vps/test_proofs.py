"""Mailed links: they confirm an address or let one choose a new password, once, for a while, the newest alone."""

import asyncio
import base64
from typing import Any

import pytest

from tests.mail_server import MailServer, Taken
from tests.vps.people import (
    PASSWORD,
    Person,
    announced,
    ask_to_teach,
    done,
    make_admin,
    make_student,
    make_teacher,
    make_verified_student,
    refused,
    sign_in,
    student_form,
    teacher_form,
)
from tests.vps.running import Vps
from tests.vps.waiting import comes_true
from vps_service.accounts.proofs import MAILS_AN_HOUR, RESETS, answer_forgotten, forget_old
from vps_service.mail.links import proof_token
from vps_service.mail.sending import send_due

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("mail_server")]

SARA = "sara@example.com"
ANOTHER = "a slow and stately zither"
LINK, RESET = "Confirm your e-mail address", "Choose a new password"
PROOFS = "SELECT * FROM proofs ORDER BY created_at"


async def mails_to(vps: Vps, server: MailServer, address: str = SARA, subject: str | None = None) -> list[Taken]:
    """All that were sent, once none is left to be."""

    async def none_is_left() -> bool:
        await answer_forgotten(vps.sessions, vps.settings)
        await send_due(vps.sessions, vps.settings)
        return not await vps.rows("SELECT 1 FROM mails UNION ALL SELECT 1 FROM forgotten_passwords")

    await comes_true(none_is_left)
    return [mail for mail in server.to(address) if subject in (None, mail.subject)]


async def token_of_verification(vps: Vps, server: MailServer, address: str = SARA) -> str:
    return (await mails_to(vps, server, address, LINK))[-1].token


async def token_of_reset(vps: Vps, server: MailServer, login: str = SARA, address: str = SARA) -> str:
    done(await forgot(vps, login), 202)
    return (await mails_to(vps, server, address, RESET))[-1].token


async def verify(vps: Vps, token: str) -> Any:
    return await vps.http.post("/api/auth/verify-email", json={"token": token})


async def forgot(vps: Vps, login: str, **headers: str) -> Any:
    return await vps.http.post("/api/auth/forgot-password", json={"login": login}, headers=headers)


async def reset(vps: Vps, token: str, password: str = ANOTHER) -> Any:
    return await vps.http.post("/api/auth/reset-password", json={"token": token, "password": password})


async def log_in(vps: Vps, password: str) -> int:
    return (await vps.http.post("/api/auth/login", json={"login": "sara", "password": password})).status_code


async def is_verified(vps: Vps, username: str = "sara") -> bool:
    row = await vps.row("SELECT email_verified_at FROM users WHERE username = :name", name=username)
    return row["email_verified_at"] is not None


# --- confirming an address ------------------------------------------------------------------------------------


async def test_whoever_registers_confirms_the_address_by_the_link_in_the_mail(
    vps: Vps, mail_server: MailServer
) -> None:
    await make_student(vps)
    assert not await is_verified(vps)
    assert (await verify(vps, await token_of_verification(vps, mail_server))).status_code == 204
    assert await is_verified(vps)


async def test_a_teacher_with_an_address_is_mailed_and_one_without_is_not(vps: Vps, mail_server: MailServer) -> None:
    done(await ask_to_teach(vps, teacher_form(email="omar@example.com")), 201)
    await make_teacher(vps, "mona")
    await mails_to(vps, mail_server)
    assert [mail.recipients for mail in mail_server.mails] == [["omar@example.com"]]


async def test_a_registration_that_is_refused_mails_nobody(vps: Vps, mail_server: MailServer) -> None:
    await make_student(vps)
    refused(await vps.http.post("/api/auth/register", json=student_form(email="s@example.com")), 409, "already_taken")
    await mails_to(vps, mail_server)
    assert [mail.recipients for mail in mail_server.mails] == [[SARA]]


async def test_a_follow_counts_from_the_confirmation_on_and_the_last_one_needed_verifies_the_teacher(
    vps: Vps, mail_server: MailServer
) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    assert done(await student.put(f"/api/teachers/{teacher.username}/follow"))["followers"] == 0
    assert (await verify(vps, await token_of_verification(vps, mail_server))).status_code == 204
    assert (await vps.row("SELECT followers FROM teachers"))["followers"] == 1


async def test_a_mail_has_nothing_in_it_that_whoever_registered_wrote(vps: Vps, mail_server: MailServer) -> None:
    """Or anybody could have us mail their words to everybody."""
    form = student_form("win.example", name="You won! http://evil.example", email=SARA)
    done(await vps.http.post("/api/auth/register", json=form), 201)
    await token_of_reset(vps, mail_server)
    for mail in await mails_to(vps, mail_server):
        assert "evil.example" not in mail.message.as_string()
        assert "win.example" not in mail.message.as_string()
        assert "win . example" in mail.text


async def test_another_link_can_be_had_and_the_one_before_is_void(vps: Vps, mail_server: MailServer) -> None:
    student = await make_student(vps)
    first = await token_of_verification(vps, mail_server)
    assert done(await student.post("/api/auth/verify-email/resend"), 202) == {"status": "accepted"}
    second = await token_of_verification(vps, mail_server)
    refused(await verify(vps, first), 400, "link_not_valid")
    assert not await is_verified(vps)
    assert (await verify(vps, second)).status_code == 204
    refused(await student.post("/api/auth/verify-email/resend"), 409, "already_verified")


async def test_who_has_no_address_can_have_no_link(vps: Vps) -> None:
    refused(await (await make_teacher(vps)).post("/api/auth/verify-email/resend"), 409, "no_email")


async def test_a_link_to_an_address_that_was_changed_confirms_nothing(vps: Vps, mail_server: MailServer) -> None:
    await make_student(vps)
    token = await token_of_verification(vps, mail_server)
    await vps.rows("UPDATE users SET email = 'new@example.com'")
    refused(await verify(vps, token), 400, "link_not_valid")
    assert not await is_verified(vps)


# --- case 7: links cannot be guessed, used twice, late, or after a newer one -----------------------------------------


async def test_case_7_a_token_has_256_bits_and_no_table_has_it(vps: Vps, mail_server: MailServer) -> None:
    await mail_server.stop()  # so that the mails are still in the queue
    for name in ("sara", "omar"):
        await make_student(vps, name)
    done(await forgot(vps, SARA), 202)
    await answer_forgotten(vps.sessions, vps.settings)
    tables = await vps.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    dump = ""
    for table in tables:
        dump += str(await vps.rows(f"SELECT row_to_json(t)::text AS row FROM {table['tablename']} t"))
    await mail_server.start()
    await vps.rows("UPDATE mails SET due_at = now()")
    mails = [*await mails_to(vps, mail_server), *await mails_to(vps, mail_server, "omar@example.com")]
    tokens = {mail.token for mail in mails}
    assert len(tokens) == 3
    for token in tokens:
        assert len(base64.urlsafe_b64decode(token + "=")) == 32
        assert token not in dump
        assert base64.urlsafe_b64decode(token + "=").hex() not in dump
    assert dump.count("token_hash") >= 3


async def test_case_7_of_twenty_uses_at_once_of_one_link_one_succeeds(vps: Vps, mail_server: MailServer) -> None:
    await make_student(vps)
    token = await token_of_verification(vps, mail_server)
    answers = await asyncio.gather(*(verify(vps, token) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [204] + [400] * 19
    token = await token_of_reset(vps, mail_server)
    passwords = [f"{ANOTHER} number {number}" for number in range(20)]
    answers = await asyncio.gather(*(reset(vps, token, password) for password in passwords))
    assert sorted(answer.status_code for answer in answers) == [204] + [400] * 19
    (chosen,) = [password for password, answer in zip(passwords, answers, strict=True) if answer.status_code == 204]
    assert [await log_in(vps, password) for password in (chosen, PASSWORD)] == [200, 401]
    assert len(await mails_to(vps, mail_server, subject="Your password was changed")) == 1


async def test_case_7_a_link_ends_when_it_is_old(vps: Vps, mail_server: MailServer) -> None:
    await make_student(vps)
    tokens = await token_of_verification(vps, mail_server), await token_of_reset(vps, mail_server)
    lives = await vps.rows("SELECT extract(epoch FROM expires_at - created_at)::int AS s FROM proofs ORDER BY kind")
    assert [abs(row["s"] - wanted) <= 5 for row, wanted in zip(lives, (3600, 24 * 3600), strict=True)] == [True] * 2
    await vps.rows("UPDATE proofs SET expires_at = now() - interval '1 second'")
    refused(await verify(vps, tokens[0]), 400, "link_not_valid")
    refused(await reset(vps, tokens[1]), 400, "link_not_valid")
    assert await log_in(vps, PASSWORD) == 200


async def test_case_7_of_several_links_to_a_new_password_only_the_newest_is_good(
    vps: Vps, mail_server: MailServer
) -> None:
    await make_student(vps)
    tokens = [await token_of_reset(vps, mail_server) for _ in range(3)]
    for token in tokens[:2]:
        refused(await reset(vps, token), 400, "link_not_valid")
    assert (await reset(vps, tokens[2])).status_code == 204


async def test_case_7_links_that_are_made_at_once_leave_one_good(vps: Vps, mail_server: MailServer) -> None:
    student = await make_student(vps)
    await asyncio.gather(*(student.post("/api/auth/verify-email/resend") for _ in range(20)))
    tokens = [proof_token(vps.settings.access_key, proof["id"]) for proof in await vps.rows(PROOFS)]
    answers = [(await verify(vps, token)).status_code for token in tokens]
    assert sorted(answers) == [204] + [400] * (MAILS_AN_HOUR - 1)
    assert (await mails_to(vps, mail_server, subject=LINK))[-1].token == tokens[answers.index(204)]


async def test_case_7_a_token_is_good_for_its_own_kind_of_link_only(vps: Vps, mail_server: MailServer) -> None:
    student = await make_student(vps)
    tokens = await token_of_verification(vps, mail_server), await token_of_reset(vps, mail_server)
    refused(await reset(vps, tokens[0]), 400, "link_not_valid")
    refused(await verify(vps, tokens[1]), 400, "link_not_valid")
    for other in (student.access_token, student.refresh_token, "", "x" * 43, tokens[0][:-1], tokens[0] + "A"):
        assert (await verify(vps, other)).status_code in (400, 422)
        assert (await reset(vps, other)).status_code in (400, 422)
    assert not await is_verified(vps)
    assert (await verify(vps, tokens[0])).status_code == 204


# --- case 8: links lead where the settings say -----------------------------------------------------------------------

FORGED = (
    {"Host": "evil.example"},
    {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"},
    {"Forwarded": "host=evil.example"},
    {"Host": "a/?x=@evil.example"},
)


@pytest.mark.settings(vps_url="https://courses.example")
async def test_case_8_a_forged_host_changes_no_link(vps: Vps, mail_server: MailServer) -> None:
    for number, headers in enumerate(FORGED):
        form = student_form(f"student{number}")
        done(await vps.http.post("/api/auth/register", json=form, headers=headers), 201)
        assert (await forgot(vps, form["email"], **headers)).status_code == 202
        mails = await mails_to(vps, mail_server, form["email"])
        assert len(mails) == 2
        for mail in mails:
            assert "evil.example" not in mail.message.as_string()
            assert "https://courses.example/" in mail.text


@pytest.mark.settings(links_url="https://app.example")
async def test_links_lead_to_the_pages_that_the_operator_names(vps: Vps, mail_server: MailServer) -> None:
    await make_student(vps)
    token = await token_of_reset(vps, mail_server)
    (mail,) = await mails_to(vps, mail_server, subject=RESET)
    assert f"https://app.example/reset-password#token={token}\n" in mail.text.replace("\r\n", "\n")


# --- case 13: nobody's mailbox is flooded ----------------------------------------------------------------------------


async def test_case_13_a_hundred_requests_are_a_few_mails(vps: Vps, mail_server: MailServer) -> None:
    student = await make_student(vps)
    await mails_to(vps, mail_server)
    for number in range(50):
        await student.post("/api/auth/verify-email/resend")
        await forgot(vps, ("sara", SARA, SARA.upper())[number % 3])
        await mails_to(vps, mail_server)
    assert len(await mails_to(vps, mail_server)) == 2 * MAILS_AN_HOUR


async def test_links_of_one_kind_keep_those_of_another_from_nobody(vps: Vps, mail_server: MailServer) -> None:
    student = await make_student(vps)
    for _ in range(MAILS_AN_HOUR + 1):
        await student.post("/api/auth/verify-email/resend")
    done(await reset(vps, await token_of_reset(vps, mail_server)), 204)


async def test_an_hour_later_mails_come_again(vps: Vps, mail_server: MailServer) -> None:
    student = await make_student(vps)
    await mails_to(vps, mail_server)
    for _ in range(MAILS_AN_HOUR):
        await student.post("/api/auth/verify-email/resend")
        await mails_to(vps, mail_server)
    assert len(await mails_to(vps, mail_server)) == MAILS_AN_HOUR
    await vps.rows("UPDATE proofs SET created_at = created_at - interval '61 minutes'")
    await vps.rows("DELETE FROM rate_limits")
    await student.post("/api/auth/verify-email/resend")
    assert len(await mails_to(vps, mail_server)) == MAILS_AN_HOUR + 1


# --- choosing a new password -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["sara", SARA, " Sara@Example.com "])
async def test_whoever_forgot_chooses_a_new_password_by_any_login(
    vps: Vps, mail_server: MailServer, login: str
) -> None:
    await make_student(vps)
    assert (await reset(vps, await token_of_reset(vps, mail_server, login))).status_code == 204
    assert [await log_in(vps, password) for password in (ANOTHER, PASSWORD)] == [200, 401]
    assert await is_verified(vps)


async def test_case_6_a_new_password_ends_every_session(vps: Vps, mail_server: MailServer) -> None:
    devices: list[Person] = [await make_student(vps), await sign_in(vps, "sara")]
    assert (await reset(vps, await token_of_reset(vps, mail_server))).status_code == 204
    for device in devices:
        refused(await device.get("/api/auth/me"), 401, "not_authenticated")
        spent = await vps.http.post("/api/auth/refresh", json={"refresh_token": device.refresh_token})
        assert spent.status_code == 401
    assert {"kind": "user_signed_out", "user_id": str(devices[0].id)} in await announced(vps)


async def test_the_owner_is_told_that_the_password_was_changed(vps: Vps, mail_server: MailServer) -> None:
    await make_student(vps)
    await reset(vps, await token_of_reset(vps, mail_server))
    (mail,) = await mails_to(vps, mail_server, subject="Your password was changed")
    assert ANOTHER not in mail.message.as_string()


async def test_a_link_is_no_way_to_have_passwords_hashed_for_ever(vps: Vps, mail_server: MailServer) -> None:
    await make_student(vps)
    token = await token_of_reset(vps, mail_server)
    for _ in range(RESETS):
        refused(await reset(vps, token, "password"), 422, "validation_failed")
    refused(await reset(vps, token), 429, "too_many_requests")


@pytest.mark.parametrize("weak", ["short", "password", "sara2026", "ا" * 37, "k7#mQ9\0xzW"])
async def test_a_password_that_will_not_do_spends_no_link(vps: Vps, mail_server: MailServer, weak: str) -> None:
    await make_student(vps)
    token = await token_of_reset(vps, mail_server)
    assert refused(await reset(vps, token, weak), 422, "validation_failed")["errors"][0]["field"] == "body.password"
    assert (await reset(vps, token)).status_code == 204


async def test_asking_is_answered_alike_whoever_it_is_and_does_the_same_work(vps: Vps, mail_server: MailServer) -> None:
    student, banned = await make_verified_student(vps), await make_student(vps, "omar")
    admin = await make_admin(vps)
    done(await admin.post(f"/api/admin/users/{banned.id}/ban"))
    before = len(await mails_to(vps, mail_server, "omar@example.com"))
    logins = (SARA, "omar@example.com", "nobody@example.com", "sara", "nobody", "+201001234567", "' OR 1=1 --", "")
    answers = [await forgot(vps, login) for login in logins]
    assert {(answer.status_code, answer.text) for answer in answers} == {(202, '{"status":"accepted"}')}
    assert await mails_to(vps, mail_server, subject=RESET)
    assert len(await mails_to(vps, mail_server, "omar@example.com")) == before
    assert not mail_server.to("nobody@example.com")
    assert student.username


async def test_a_banned_user_uses_no_link(vps: Vps, mail_server: MailServer) -> None:
    student, admin = await make_student(vps), await make_admin(vps)
    tokens = await token_of_verification(vps, mail_server), await token_of_reset(vps, mail_server)
    done(await admin.post(f"/api/admin/users/{student.id}/ban"))
    refused(await verify(vps, tokens[0]), 400, "link_not_valid")
    refused(await reset(vps, tokens[1]), 400, "link_not_valid")
    assert not await is_verified(vps)


async def test_an_unconfirmed_address_gets_no_link_where_a_phone_is_confirmed(
    vps: Vps, mail_server: MailServer
) -> None:
    """It may be mistyped, and another's."""
    form = student_form(phone="+201001234567")
    done(await vps.http.post("/api/auth/register", json=form), 201)
    await vps.rows("UPDATE users SET phone_verified_at = now()")
    done(await forgot(vps, SARA), 202)
    assert await mails_to(vps, mail_server, subject=RESET) == []
    await vps.rows("UPDATE users SET email_verified_at = now()")
    assert await token_of_reset(vps, mail_server)


async def test_a_reset_is_in_the_log_of_privileged_acts(vps: Vps, mail_server: MailServer) -> None:
    student = await make_student(vps)
    await reset(vps, await token_of_reset(vps, mail_server))
    row = await vps.row("SELECT * FROM audit_events WHERE what = 'password_reset'")
    assert row["subject"] == str(student.id)


async def test_old_links_are_forgotten(vps: Vps, mail_server: MailServer) -> None:
    await make_student(vps)
    await token_of_reset(vps, mail_server)
    await vps.rows("UPDATE proofs SET expires_at = now() - interval '8 days' WHERE kind = 'verify_email'")
    async with vps.sessions() as session, session.begin():
        await forget_old(session)
    assert [row["kind"] for row in await vps.rows(PROOFS)] == ["reset_password"]
