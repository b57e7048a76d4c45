"""E-mail addresses and phones: anybody may claim any, one account has proved it, and no claim gets in that one's way.

Abuse cases 10, 13 and 14.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pyotp
import pytest

from tests.mail_server import MailServer
from tests.vps.lives import finish, leave, time_is_up
from tests.vps.people import (
    PASSWORD,
    Person,
    confirm,
    done,
    make_admin,
    make_student,
    make_teacher,
    make_verified_student,
    refused,
    signed_in,
    student_form,
)
from tests.vps.running import Vps
from tests.vps.test_proofs import (
    ANOTHER,
    LINK,
    RESET,
    SARA,
    forgot,
    is_verified,
    mails_to,
    reset,
    token_of_reset,
    token_of_verification,
    verify,
)
from tests.vps.waiting import comes_true
from vps_service.accounts.actions import confirm_contact
from vps_service.accounts.errors import AlreadyTaken
from vps_service.accounts.proofs import MAILS_AN_HOUR

pytestmark = pytest.mark.anyio

NILE = "+201001234567"
IN_USE = "You have an account already"
ELSEWHERE = "Confirm your new e-mail address"
THIEVES = "the thief's own pass phrase"


async def claim(vps: Vps, username: str, **more: Any) -> Person:
    """Somebody registers with Sara's e-mail, or with what else is given."""
    form = student_form(username, email=SARA) | more
    return signed_in(vps, done(await vps.http.post("/api/auth/register", json=form), 201))


async def a_while_later(vps: Vps) -> None:
    """So long that what was mailed or sent so far is no reason to send nothing more."""
    await vps.rows("UPDATE proofs SET created_at = created_at - interval '2 hours'")
    await vps.rows("DELETE FROM rate_limits")


async def who(vps: Vps, login: str, password: str = PASSWORD) -> str:
    """Whose account this login and password open."""
    answer = await vps.http.post("/api/auth/login", json={"login": login, "password": password})
    return str(done(answer)["user"]["username"])


async def subjects(vps: Vps, server: MailServer, address: str = SARA) -> list[str]:
    return [mail.subject for mail in await mails_to(vps, server, address)]


# --- claiming ---------------------------------------------------------------------------------------------------


async def test_case_10_several_accounts_may_claim_one_address_and_each_is_told_it_is_in(vps: Vps) -> None:
    for username in ("sara", "lina", "mona"):
        person = await claim(vps, username, phone=NILE)
        assert (person.user["email"], person.user["phone"]) == (SARA, NILE)
    claims = "SELECT 1 FROM users WHERE email = 'sara@example.com' AND phone = '+201001234567'"
    assert len(await vps.rows(claims)) == 3


async def test_a_login_that_several_claim_is_whose_came_first_and_whose_came_last(vps: Vps) -> None:
    passwords = {username: f"{username} has a slow zither" for username in ("sara", "lina", "mona")}
    for username, password in passwords.items():
        await claim(vps, username, phone=NILE, password=password)
        for login in (SARA, NILE, " SARA@example.com", "+20 100 123-4567"):
            for one in ("sara", username):
                assert await who(vps, login, passwords[one]) == one
    for login, status in ((SARA, 401), (NILE, 401), ("lina", 200)):
        answer = await vps.http.post("/api/auth/login", json={"login": login, "password": passwords["lina"]})
        assert answer.status_code == status


@pytest.mark.parametrize("login", [SARA, NILE])
async def test_a_login_is_whose_who_has_proved_it_whoever_claims_it_later(vps: Vps, login: str) -> None:
    await claim(vps, "early", phone=NILE)
    await confirm(vps, await claim(vps, "sara", phone=NILE))
    await claim(vps, "late", phone=NILE, password=THIEVES)
    assert await who(vps, login) == "sara"
    assert await who(vps, login, THIEVES) == "late", "or it would be told that somebody has proved it"


async def test_a_banned_account_is_nobody_s_login_but_its_own(vps: Vps) -> None:
    thieves, admin = [await claim(vps, "early")], await make_admin(vps)
    await claim(vps, "sara")
    thieves.append(await claim(vps, "late"))
    for thief in thieves:
        done(await admin.post(f"/api/admin/users/{thief.id}/ban"))
    await claim(vps, "lina", password=THIEVES)
    assert (await who(vps, SARA), await who(vps, SARA, THIEVES)) == ("sara", "lina")


async def test_an_address_that_begins_like_a_phone_is_an_address(vps: Vps) -> None:
    await claim(vps, "plus", email="+sara.2-x@example.com")
    assert await who(vps, "+sara.2-x@example.com") == "plus"


async def test_a_claim_makes_no_follow_count(vps: Vps) -> None:
    await make_verified_student(vps)
    teacher, thief = await make_teacher(vps), await claim(vps, "thief")
    done(await thief.put("/api/teachers/omar/follow"))
    assert done(await teacher.get("/api/auth/me"))["followers"] == 0


# --- what is mailed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("locale", "subject"), [("en", IN_USE), ("ar-EG", "لديك حساب بالفعل")])
async def test_whoever_has_proved_an_address_is_told_that_they_have_an_account_and_mailed_no_link(
    vps: Vps, mail_server: MailServer, locale: str, subject: str
) -> None:
    sara = await make_verified_student(vps)
    done(await sara.patch("/api/users/me", {"locale": locale}))
    before = len(await mails_to(vps, mail_server))
    thief = await claim(vps, "thief", email="SARA@Example.com", name="http://evil.example")
    (told,) = (await mails_to(vps, mail_server))[before:]
    assert told.subject == subject
    assert f"{vps.settings.vps_url}/forgot-password" in told.text
    for unsaid in ("#token", "evil.example", "thief"):
        assert unsaid not in told.message.as_string()
    done(await thief.post("/api/auth/verify-email/resend"), 202)
    assert (await subjects(vps, mail_server))[before:] == [subject] * 2
    assert await vps.rows("SELECT 1 FROM proofs WHERE ended_at IS NULL AND user_id = :id", id=thief.id) == []


async def test_case_14_a_link_that_proves_an_address_says_for_which_account(vps: Vps, mail_server: MailServer) -> None:
    """Or whoever claims an address just after a stranger did would prove it for the stranger's account."""
    for username in ("thief", "lina"):
        await claim(vps, username)
    mona = await claim(vps, "mona", email="mona@example.com")
    done(await mona.post("/api/users/me/email", {"new_email": SARA, "password": PASSWORD}), 202)
    named = [
        [username for username in ("thief", "lina", "mona") if username in mail.text]
        for mail in await mails_to(vps, mail_server)
    ]
    assert sorted(named) == [["lina"], ["mona"], ["thief"]]


async def test_case_13_nor_is_it_told_more_often_than_links_are_sent(vps: Vps, mail_server: MailServer) -> None:
    await confirm(vps, await claim(vps, "sara", email="s@example.com"))
    await a_while_later(vps)
    for number in range(MAILS_AN_HOUR + 3):
        await claim(vps, f"thief{number}", email="s@example.com")
    assert (await subjects(vps, mail_server, "s@example.com")).count(IN_USE) == MAILS_AN_HOUR
    assert await token_of_reset(vps, mail_server, "s@example.com", "s@example.com")


@pytest.mark.parametrize("login", [SARA, NILE, "sara"])
async def test_a_new_password_is_for_the_account_that_has_proved_the_address(
    vps: Vps, mail_server: MailServer, login: str
) -> None:
    await confirm(vps, await claim(vps, "sara", phone=NILE))
    await claim(vps, "thief", phone=NILE)
    done(await reset(vps, await token_of_reset(vps, mail_server, login)), 204)
    assert await who(vps, "sara", ANOTHER) == "sara"
    assert await who(vps, "thief") == "thief"


async def test_an_account_that_only_claims_an_address_gets_no_link_to_a_new_password_there(
    vps: Vps, mail_server: MailServer
) -> None:
    await make_verified_student(vps)
    await claim(vps, "thief")
    done(await forgot(vps, "thief"), 202)
    assert sorted(await subjects(vps, mail_server)) == sorted([LINK, IN_USE, IN_USE])


# --- proving ----------------------------------------------------------------------------------------------------


async def test_of_twenty_accounts_that_prove_one_address_at_once_one_has_it(vps: Vps, mail_server: MailServer) -> None:
    for number in range(20):
        await claim(vps, f"student{number}")
        await a_while_later(vps)
    tokens = [mail.token for mail in await mails_to(vps, mail_server, subject=LINK)]
    assert len(set(tokens)) == 20
    answers = await asyncio.gather(*(verify(vps, token) for token in tokens))
    assert sorted(answer.status_code for answer in answers) == [204] + [409] * 19
    (proved,) = await vps.rows("SELECT username FROM users WHERE email_verified_at IS NOT NULL")
    assert await who(vps, SARA) == proved["username"]


async def test_so_it_is_of_several_ways_to_prove_it(vps: Vps, mail_server: MailServer) -> None:
    await claim(vps, "linked")
    link = await token_of_verification(vps, mail_server)
    await claim(vps, "vouched")
    await claim(vps, "forgetful")
    forgotten = await token_of_reset(vps, mail_server, "forgetful")
    mover = await make_verified_student(vps, "mover")
    done(await mover.post("/api/users/me/email", {"new_email": SARA, "password": PASSWORD}), 202)
    (wanted,) = await mails_to(vps, mail_server, subject=ELSEWHERE)

    async def vouch() -> int:
        try:
            await confirm_contact(vps.sessions, "vouched", vps.settings.followers_required)
        except AlreadyTaken:
            return 409
        return 204

    async def status(answer: Awaitable[Any]) -> int:
        return int((await answer).status_code)

    moved = vps.http.post("/api/auth/change-email", json={"token": wanted.token})
    ways = (status(verify(vps, link)), status(reset(vps, forgotten)), status(moved), vouch())
    assert sorted(await asyncio.gather(*ways)) == [204, 409, 409, 409]
    assert len(await vps.rows("SELECT 1 FROM users WHERE email = :a AND email_verified_at IS NOT NULL", a=SARA)) == 1


async def test_a_link_that_was_mailed_before_another_proved_the_address_is_too_late(
    vps: Vps, mail_server: MailServer
) -> None:
    await claim(vps, "early")
    tokens = await token_of_verification(vps, mail_server), await token_of_reset(vps, mail_server)
    await confirm(vps, await claim(vps, "sara"))
    refused(await verify(vps, tokens[0]), 409, "already_taken")
    refused(await reset(vps, tokens[1]), 409, "already_taken")
    assert await who(vps, "early") == "early", "with the password that it had"
    assert not await is_verified(vps, "early")


async def test_the_claims_of_others_stay_and_come_to_nothing_until_the_address_is_given_up(
    vps: Vps, mail_server: MailServer
) -> None:
    early = await claim(vps, "early")
    await mails_to(vps, mail_server)
    sara = await claim(vps, "sara")
    done(await verify(vps, await token_of_verification(vps, mail_server)), 204)
    assert done(await early.get("/api/users/me"))["email_verified"] is False
    done(await early.post("/api/auth/verify-email/resend"), 202)
    assert (await subjects(vps, mail_server))[-1] == IN_USE
    done(await sara.post("/api/users/me/email", {"new_email": "new@example.com", "password": PASSWORD}), 202)
    moved = {"token": (await mails_to(vps, mail_server, "new@example.com"))[-1].token}
    done(await vps.http.post("/api/auth/change-email", json=moved), 204)
    done(await early.post("/api/auth/verify-email/resend"), 202)
    done(await verify(vps, await token_of_verification(vps, mail_server)), 204)
    assert await who(vps, SARA) == "early"


async def test_who_leaves_for_good_gives_up_what_they_proved_and_takes_no_mail_of_others_along(
    vps: Vps, mail_server: MailServer
) -> None:
    await mail_server.stop()  # so that mails stay in the queue
    sara, thief = await make_verified_student(vps), await claim(vps, "thief")
    await vps.rows("DELETE FROM mails")
    done(await forgot(vps, SARA), 202)

    async def waits() -> bool:
        return [row["template"] for row in await vps.rows("SELECT template FROM mails")] == ["reset_password"]

    await comes_true(waits)
    elsewhere = {"new_email": "thief@example.org", "password": PASSWORD}
    done(await thief.post("/api/users/me/email", elsewhere), 202)
    assert not await waits()
    done(await leave(thief), 202)
    await time_is_up(vps)
    await finish(vps)
    assert await waits(), "of the thief's own none is left"
    done(await leave(sara), 202)
    await time_is_up(vps)
    await finish(vps)
    assert await vps.rows("SELECT 1 FROM mails") == []
    await confirm(vps, await claim(vps, "lina"))


async def test_who_is_leaving_or_banned_has_still_proved_it(vps: Vps) -> None:
    admin = await make_admin(vps)
    for username, email in (("leaver", "l@example.com"), ("banned", "b@example.com")):
        person = await claim(vps, username, email=email)
        await confirm(vps, person)
        await (leave(person) if username == "leaver" else admin.post(f"/api/admin/users/{person.id}/ban"))
        again = await claim(vps, f"{username}2", email=email)
        with pytest.raises(AlreadyTaken):
            await confirm(vps, again)


# --- case 14: an account that a stranger made with somebody's address -----------------------------------------------


async def test_case_14_who_resets_the_password_of_an_account_made_in_advance_has_it_alone(
    vps: Vps, mail_server: MailServer
) -> None:
    thief = await claim(vps, "thief", password=THIEVES, phone=NILE)
    elsewhere = {"new_email": "thief@example.org", "password": THIEVES}
    done(await thief.post("/api/users/me/email", elsewhere), 202)
    kept = (await mails_to(vps, mail_server, "thief@example.org"))[-1].token
    done(await forgot(vps, NILE), 202)  # which goes to the address, not to who asks
    older = (await mails_to(vps, mail_server, subject=RESET))[-1].token
    done(await reset(vps, await token_of_reset(vps, mail_server)), 204)
    refused(await thief.get("/api/auth/me"), 401, "not_authenticated")
    refused(
        await vps.http.post("/api/auth/refresh", json={"refresh_token": thief.refresh_token}), 401, "bad_refresh_token"
    )
    for token in (kept, older):
        refused(await vps.http.post("/api/auth/change-email", json={"token": token}), 400, "link_not_valid")
    refused(await reset(vps, older, THIEVES), 400, "link_not_valid")
    for login in ("thief", SARA, NILE):
        answer = await vps.http.post("/api/auth/login", json={"login": login, "password": THIEVES})
        refused(answer, 401, "bad_credentials")
    assert await who(vps, SARA, ANOTHER) == "thief"


async def switch_totp_on(person: Person) -> None:
    secret = done(await person.post("/api/auth/totp", {"password": PASSWORD}), 201)["secret"]
    done(await person.post("/api/auth/totp/confirm", {"code": pyotp.TOTP(secret).now()}))


async def prove_phone(vps: Vps, person: Person) -> None:
    await vps.rows(
        "UPDATE users SET phone_verified_at = now(), phone = :phone WHERE id = :id", phone=NILE, id=person.id
    )


@pytest.mark.parametrize("guard", ["second factor", "phone"])
async def test_case_14_no_link_proves_an_address_for_an_account_whose_maker_could_lock_its_owner_out(
    vps: Vps, mail_server: MailServer, guard: str
) -> None:
    """Nor does who mistyped an address, and guards the account otherwise, lose it to the address's owner."""
    thief = await claim(vps, "thief")
    token = await token_of_reset(vps, mail_server)
    await (switch_totp_on(thief) if guard == "second factor" else prove_phone(vps, thief))
    refused(await reset(vps, token), 400, "link_not_valid")
    assert not await is_verified(vps, "thief")
    done(await forgot(vps, SARA), 202)
    assert (await subjects(vps, mail_server)).count(RESET) == 1
    await confirm(vps, await claim(vps, "sara"))
    assert await who(vps, SARA) == "sara"


@pytest.mark.parametrize("guard", ["second factor", "phone"])
async def test_case_14_such_an_account_diverts_nobody_s_link(vps: Vps, mail_server: MailServer, guard: str) -> None:
    await claim(vps, "sara")
    thief = await claim(vps, "thief")
    await (switch_totp_on(thief) if guard == "second factor" else prove_phone(vps, thief))
    done(await reset(vps, await token_of_reset(vps, mail_server)), 204)
    assert await who(vps, SARA, ANOTHER) == "sara"


async def test_a_second_factor_outlives_a_new_password_where_the_address_was_proved(
    vps: Vps, mail_server: MailServer
) -> None:
    sara = await make_verified_student(vps)
    await switch_totp_on(sara)
    done(await reset(vps, await token_of_reset(vps, mail_server)), 204)
    answer = await vps.http.post("/api/auth/login", json={"login": SARA, "password": ANOTHER})
    refused(answer, 401, "totp_required")


async def test_an_admin_finds_all_who_claim_an_address_and_who_has_proved_it(vps: Vps) -> None:
    await confirm(vps, await make_student(vps))
    await claim(vps, "thief")
    admin = await make_admin(vps)
    found = done(await admin.get("/api/admin/users", params={"q": SARA}))["items"]
    assert [(one["username"], one["email_verified"]) for one in found] == [("thief", False), ("sara", True)]
