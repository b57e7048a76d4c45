"""Another e-mail address: with the password, by a link that was sent there, and the old address is told (case 14)."""

import asyncio

import httpx
import pytest

from tests.mail_server import MailServer, Taken
from tests.vps.people import (
    PASSWORD,
    Person,
    confirm,
    done,
    make_student,
    make_teacher,
    make_verified_student,
    refused,
    sign_in,
)
from tests.vps.running import Vps
from tests.vps.waiting import comes_true

pytestmark = pytest.mark.anyio

OLD, NEW = "sara@example.com", "sara@example.org"
CHANGED, CONFIRM = "Your e-mail address was changed", "Confirm your new e-mail address"


async def ask(person: Person, email: str = NEW, password: str = PASSWORD) -> httpx.Response:
    return await person.post("/api/users/me/email", {"new_email": email, "password": password})


async def follow(vps: Vps, token: str) -> httpx.Response:
    """As the page does that the link leads to. Nobody is signed in there."""
    return await vps.http.post("/api/auth/change-email", json={"token": token})


async def mail(server: MailServer, address: str, subject: str, number: int = 1) -> Taken:
    """The `number`-th one of this subject to this address, once it has come."""

    def found() -> list[Taken]:
        return [one for one in server.to(address) if one.subject == subject]

    async def came() -> bool:
        return len(found()) >= number

    await comes_true(came)
    return found()[number - 1]


async def email_of(person: Person) -> str | None:
    shown: str | None = done(await person.get("/api/auth/me"))["email"]
    return shown


async def log_in(vps: Vps, login: str) -> int:
    return (await vps.http.post("/api/auth/login", json={"login": login, "password": PASSWORD})).status_code


async def test_the_address_stays_until_the_new_one_is_proved_and_then_the_old_one_is_told(
    vps: Vps, mail_server: MailServer
) -> None:
    sara = await make_verified_student(vps)
    done(await ask(sara), 202)
    link = await mail(mail_server, NEW, CONFIRM)
    assert await email_of(sara) == OLD
    assert (await log_in(vps, OLD), await log_in(vps, NEW)) == (200, 401)
    done(await follow(vps, link.token), 204)
    assert await email_of(sara) == NEW
    assert (await log_in(vps, OLD), await log_in(vps, NEW)) == (401, 200)
    told = await mail(mail_server, OLD, CHANGED)
    assert NEW not in told.text  # whoever reads the old one's mail need not know
    stored = await vps.row("SELECT email_verified_at FROM users")
    assert stored["email_verified_at"] is not None


async def test_case_13_an_old_address_that_nobody_proved_is_not_told(vps: Vps, mail_server: MailServer) -> None:
    """It is anybody's, whom a stranger would have mailed as often as they change it."""
    sara = await make_student(vps)
    done(await ask(sara), 202)
    done(await follow(vps, (await mail(mail_server, NEW, CONFIRM)).token), 204)
    assert await vps.rows("SELECT 1 FROM mails WHERE template = 'email_changed'") == []
    assert [one.subject for one in mail_server.to(OLD)] == ["Confirm your e-mail address"]


async def test_a_stolen_token_is_not_enough(vps: Vps) -> None:
    sara = await make_student(vps)
    refused(await ask(sara, password="wrong"), 403, "wrong_password")
    assert await vps.rows("SELECT 1 FROM proofs WHERE kind = 'change_email'") == []
    assert await email_of(sara) == OLD


async def test_a_link_is_good_once(vps: Vps, mail_server: MailServer) -> None:
    sara = await make_student(vps)
    done(await ask(sara), 202)
    token = (await mail(mail_server, NEW, CONFIRM)).token
    answers = await asyncio.gather(*(follow(vps, token) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [204, *[400] * 7]
    refused(await follow(vps, token), 400, "link_not_valid")
    assert len(mail_server.to(OLD)) <= 2  # one to confirm it at first, one that tells of the change


async def test_only_the_newest_link_counts(vps: Vps, mail_server: MailServer) -> None:
    sara = await make_student(vps)
    done(await ask(sara, "typo@example.org"), 202)
    older = await mail(mail_server, "typo@example.org", CONFIRM)
    done(await ask(sara), 202)
    refused(await follow(vps, older.token), 400, "link_not_valid")
    done(await follow(vps, (await mail(mail_server, NEW, CONFIRM)).token), 204)
    assert await email_of(sara) == NEW


async def test_a_link_has_its_day(vps: Vps, mail_server: MailServer) -> None:
    sara = await make_student(vps)
    done(await ask(sara), 202)
    link = await mail(mail_server, NEW, CONFIRM)
    await vps.rows("UPDATE proofs SET expires_at = now() WHERE kind = 'change_email'")
    refused(await follow(vps, link.token), 400, "link_not_valid")


async def test_links_of_other_kinds_change_no_address_and_this_one_does_nothing_else(
    vps: Vps, mail_server: MailServer
) -> None:
    sara = await make_student(vps)
    verify = await mail(mail_server, OLD, "Confirm your e-mail address")
    done(await ask(sara), 202)
    change = await mail(mail_server, NEW, CONFIRM)
    refused(await follow(vps, verify.token), 400, "link_not_valid")
    wrong = {"token": change.token}
    refused(await vps.http.post("/api/auth/verify-email", json=wrong), 400, "link_not_valid")
    reset = wrong | {"password": "another long pass phrase"}
    refused(await vps.http.post("/api/auth/reset-password", json=reset), 400, "link_not_valid")
    done(await follow(vps, change.token), 204)


async def test_links_that_were_sent_to_the_old_address_are_void(vps: Vps, mail_server: MailServer) -> None:
    """Or whoever reads the old one's mail takes the account back, or over."""
    sara = await make_student(vps)
    verify = await mail(mail_server, OLD, "Confirm your e-mail address")
    done(await vps.http.post("/api/auth/forgot-password", json={"login": "sara"}), 202)
    reset = await mail(mail_server, OLD, "Choose a new password")
    done(await ask(sara), 202)
    done(await follow(vps, (await mail(mail_server, NEW, CONFIRM)).token), 204)
    refused(await vps.http.post("/api/auth/verify-email", json={"token": verify.token}), 400, "link_not_valid")
    taken_back = {"token": reset.token, "password": "another long pass phrase"}
    refused(await vps.http.post("/api/auth/reset-password", json=taken_back), 400, "link_not_valid")
    assert await log_in(vps, NEW) == 200


@pytest.mark.parametrize("recovery", ["reset", "change of password", "sign-out everywhere"])
async def test_cases_6_and_14_a_link_that_a_thief_asked_for_does_not_outlive_the_recovery(
    vps: Vps, mail_server: MailServer, recovery: str
) -> None:
    thief = await make_student(vps)
    done(await ask(thief, "thief@example.org"), 202)
    link = await mail(mail_server, "thief@example.org", CONFIRM)
    if recovery == "reset":
        done(await vps.http.post("/api/auth/forgot-password", json={"login": "sara"}), 202)
        token = (await mail(mail_server, OLD, "Choose a new password")).token
        chosen = {"token": token, "password": "another long pass phrase"}
        done(await vps.http.post("/api/auth/reset-password", json=chosen), 204)
    elif recovery == "change of password":
        chosen = {"old_password": PASSWORD, "new_password": "another long pass phrase"}
        done(await (await sign_in(vps, "sara")).post("/api/auth/change-password", chosen), 204)
    else:
        done(await (await sign_in(vps, "sara")).delete("/api/auth/sessions"), 204)
    refused(await follow(vps, link.token), 400, "link_not_valid")
    assert (await vps.row("SELECT email FROM users"))["email"] == OLD


async def test_whose_an_address_is_already_only_its_owner_learns(vps: Vps, mail_server: MailServer) -> None:
    await make_verified_student(vps, "ali")
    sara = await make_student(vps)
    taken, free = await ask(sara, "ali@example.com"), await ask(sara)
    assert (taken.status_code, taken.json()) == (free.status_code, free.json()) == (202, {"status": "accepted"})
    told = await mail(mail_server, "ali@example.com", "You have an account already")
    assert "#token" not in told.text
    assert await email_of(sara) == OLD


async def test_an_address_that_another_proves_before_the_link_is_followed_is_theirs(
    vps: Vps, mail_server: MailServer
) -> None:
    ali, sara = await make_student(vps, "ali"), await make_verified_student(vps)
    done(await ask(sara, "ali@example.com"), 202)
    link = await mail(mail_server, "ali@example.com", CONFIRM)
    await confirm(vps, ali)
    refused(await follow(vps, link.token), 409, "already_taken")
    assert await email_of(sara) == OLD


async def test_from_then_on_a_follow_counts(vps: Vps, mail_server: MailServer) -> None:
    teacher, sara = await make_teacher(vps), await make_student(vps)
    done(await sara.put("/api/teachers/omar/follow"))
    done(await ask(sara), 202)
    assert done(await teacher.get("/api/auth/me"))["followers"] == 0
    done(await follow(vps, (await mail(mail_server, NEW, CONFIRM)).token), 204)
    assert done(await teacher.get("/api/auth/me"))["followers"] == 1


async def test_who_had_none_gets_one_and_nobody_else_is_told(vps: Vps, mail_server: MailServer) -> None:
    omar = await make_teacher(vps)
    assert omar.user["email"] is None
    done(await ask(omar), 202)
    done(await follow(vps, (await mail(mail_server, NEW, CONFIRM)).token), 204)
    assert await email_of(omar) == NEW
    assert {to for one in mail_server.mails for to in one.recipients} == {NEW}
    refused(await ask(omar), 409, "already_verified")


async def test_a_link_of_a_banned_account_changes_nothing(vps: Vps, mail_server: MailServer) -> None:
    sara = await make_student(vps)
    done(await ask(sara), 202)
    link = await mail(mail_server, NEW, CONFIRM)
    await vps.rows("UPDATE users SET state = 'banned'")
    refused(await follow(vps, link.token), 400, "link_not_valid")
    assert (await vps.row("SELECT email FROM users"))["email"] == OLD


async def test_the_link_is_not_the_host_headers(vps: Vps, mail_server: MailServer) -> None:
    sara = await make_student(vps)
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    body = {"new_email": NEW, "password": PASSWORD}
    done(await sara.post("/api/users/me/email", body, headers=forged), 202)
    link = await mail(mail_server, NEW, CONFIRM)
    assert "evil.example" not in link.message.as_string()
    assert f"{vps.settings.vps_url}/change-email#token=" in link.text
    page = await vps.http.get("/change-email")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
