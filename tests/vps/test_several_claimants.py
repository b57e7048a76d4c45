"""An address that several accounts claim and none has proved: none of them is in another's way (cases 10, 11, 14)."""

import pytest

from tests.mail_server import MailServer
from tests.vps.people import PASSWORD, confirm, done, refused
from tests.vps.running import Vps
from tests.vps.test_claimed_addresses import NILE, THIEVES, claim, subjects, switch_totp_on, who
from tests.vps.test_limits import PROXY, log_in, statuses
from tests.vps.test_proofs import ANOTHER, LINK, RESET, SARA, forgot, is_verified, mails_to, reset, token_of_reset
from vps_service.accounts.proofs import MAILS_AN_HOUR, OF_ANOTHER

pytestmark = pytest.mark.anyio

BY_ACCOUNT = {"login_failures": 4, "login_failures_per_client": 0, "logins_per_account": 0}


# --- signing in -------------------------------------------------------------------------------------------------


@pytest.mark.settings(**BY_ACCOUNT)
async def test_case_11_of_two_that_a_login_may_mean_the_one_that_was_tried_too_often_is_not_heard(vps: Vps) -> None:
    await claim(vps, "sara")
    await claim(vps, "late", password=THIEVES)
    assert await statuses(*(log_in(vps, "sara") for _ in range(4))) == [401] * 4
    refused(await log_in(vps, SARA, PASSWORD), 401, "bad_credentials")
    assert await who(vps, SARA, THIEVES) == "late"
    assert await statuses(*(log_in(vps, "late") for _ in range(4))) == [401] * 4
    refused(await log_in(vps, SARA, THIEVES), 401, "bad_credentials")


@pytest.mark.settings(**BY_ACCOUNT)
async def test_case_11_guesses_by_the_address_count_against_both(vps: Vps) -> None:
    await claim(vps, "sara")
    await claim(vps, "late")
    assert await statuses(*(log_in(vps, SARA) for _ in range(4))) == [401] * 4
    for username in ("sara", "late"):
        refused(await log_in(vps, username, PASSWORD), 401, "bad_credentials")


@pytest.mark.settings(**BY_ACCOUNT)
@pytest.mark.parametrize(("username", "password"), [("sara", PASSWORD), ("late", THIEVES)])
async def test_whoever_of_them_signs_in_has_not_failed(vps: Vps, username: str, password: str) -> None:
    await claim(vps, "sara")
    await claim(vps, "late", password=THIEVES)
    for _ in range(6):
        done(await log_in(vps, SARA, password))
    assert await who(vps, username, password) == username


async def test_each_has_its_own_second_factor(vps: Vps) -> None:
    await switch_totp_on(await claim(vps, "sara"))
    await claim(vps, "late", password=THIEVES)
    refused(await log_in(vps, SARA, PASSWORD), 401, "totp_required")
    assert await who(vps, SARA, THIEVES) == "late"


# --- links to a new password ------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", [SARA, NILE])
@pytest.mark.parametrize("order", [("thief", "sara"), ("sara", "thief")])
async def test_case_14_a_stranger_s_claim_diverts_nobody_s_link(
    vps: Vps, mail_server: MailServer, order: tuple[str, str], login: str
) -> None:
    for username in order:
        await claim(vps, username, phone=NILE, password=THIEVES if username == "thief" else PASSWORD)
    done(await forgot(vps, login), 202)
    mails = await mails_to(vps, mail_server, subject=RESET)
    (hers,) = [mail for mail in mails if "\nsara\n" in mail.text.replace("\r\n", "\n")]
    (its,) = [mail for mail in mails if "\nthief\n" in mail.text.replace("\r\n", "\n")]
    assert len(mails) == 2
    done(await reset(vps, hers.token), 204)
    assert (await is_verified(vps), await is_verified(vps, "thief")) == (True, False)
    for one in (login, "sara"):
        assert await who(vps, one, ANOTHER) == "sara"
    refused(await reset(vps, its.token), 409, "already_taken")


async def test_who_has_proved_the_address_is_mailed_alone(vps: Vps, mail_server: MailServer) -> None:
    await claim(vps, "early", phone=NILE)
    await confirm(vps, await claim(vps, "sara", phone=NILE))
    await claim(vps, "late", phone=NILE)
    for login in (SARA, NILE):
        before = len(await subjects(vps, mail_server))
        done(await forgot(vps, login), 202)
        assert (await subjects(vps, mail_server))[before:] == [RESET]
        assert "\nsara\n" in (await mails_to(vps, mail_server))[-1].text.replace("\r\n", "\n")


async def test_the_letter_names_the_account_in_arabic_too(vps: Vps, mail_server: MailServer) -> None:
    sara = await claim(vps, "sara")
    done(await sara.patch("/api/users/me", {"locale": "ar"}))
    done(await forgot(vps, SARA), 202)
    (mail,) = await mails_to(vps, mail_server, subject="اختيار كلمة مرور جديدة")
    assert "\nsara\n" in mail.text.replace("\r\n", "\n")


@pytest.mark.settings(login_failures=2, login_failures_per_client=0, logins_per_account=4, trusted_proxies=[PROXY])
async def test_a_new_password_signs_in_at_once_whoever_guessed_at_the_old_one(
    vps: Vps, mail_server: MailServer
) -> None:
    await claim(vps, "sara")
    guesses = [log_in(vps, "sara", **{"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(5)]
    assert await statuses(*guesses) == [401] * 4 + [429]
    refused(await log_in(vps, SARA, PASSWORD), 401, "bad_credentials")
    done(await reset(vps, await token_of_reset(vps, mail_server)), 204)
    for login in ("sara", SARA):
        assert await who(vps, login, ANOTHER) == "sara"


# --- how many mails ---------------------------------------------------------------------------------------------


async def test_case_13_one_account_does_not_use_up_the_mails_about_another(vps: Vps, mail_server: MailServer) -> None:
    thief = await claim(vps, "thief")
    await mails_to(vps, mail_server)
    for _ in range(MAILS_AN_HOUR + 1):
        done(await thief.post("/api/auth/verify-email/resend"), 202)
        done(await forgot(vps, "thief"), 202)
        await mails_to(vps, mail_server)
    told = await subjects(vps, mail_server)
    assert (told.count(LINK), told.count(RESET)) == (MAILS_AN_HOUR, MAILS_AN_HOUR)
    sara = await claim(vps, "sara")
    await mails_to(vps, mail_server)
    for _ in range(MAILS_AN_HOUR):
        done(await sara.post("/api/auth/verify-email/resend"), 202)
        done(await forgot(vps, "sara"), 202)
        await mails_to(vps, mail_server)
    again = await subjects(vps, mail_server)
    hers = MAILS_AN_HOUR - OF_ANOTHER
    assert (again.count(LINK), again.count(RESET)) == (MAILS_AN_HOUR + hers, MAILS_AN_HOUR + hers)
    done(await reset(vps, (await mails_to(vps, mail_server, subject=RESET))[-1].token), 204)
    assert await who(vps, "sara", ANOTHER) == "sara"


async def test_case_13_nor_do_many_those_about_who_has_proved_the_address(vps: Vps, mail_server: MailServer) -> None:
    await confirm(vps, await claim(vps, "sara"))
    for number in range(MAILS_AN_HOUR):
        await claim(vps, f"thief{number}")
        done(await forgot(vps, f"thief{number}"), 202)
    assert (await subjects(vps, mail_server)).count(RESET) == 0
    done(await reset(vps, await token_of_reset(vps, mail_server)), 204)
    assert await who(vps, "sara", ANOTHER) == "sara"
