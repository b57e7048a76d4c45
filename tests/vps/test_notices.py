"""Whoever owns an account is told by mail what was done with it: in their language, at an address that is theirs."""

from pathlib import Path
from typing import Any

import pyotp
import pytest

from tests.settings import vps_environment
from tests.vps.people import PASSWORD, Person, done, make_student, make_verified_student, refused
from tests.vps.running import Vps
from tests.vps.terminal import toptank
from vps_service.mail.templates import PAGES, TEMPLATES

pytestmark = pytest.mark.anyio

SARA = "sara@example.com"


async def notices(vps: Vps) -> list[tuple[str, str, str]]:
    """Which wait to be sent: to whom, what, in which language."""
    rows = await vps.rows("SELECT address, template, language FROM mails ORDER BY id")
    found = [(row["address"], row["template"], row["language"]) for row in rows]
    return [one for one in found if one[1] != "verify_email"]


async def switch_on(person: Person) -> list[str]:
    """The recovery codes."""
    secret = done(await person.post("/api/auth/totp", {"password": PASSWORD}), 201)["secret"]
    confirmed = await person.post("/api/auth/totp/confirm", {"code": pyotp.TOTP(secret).now()})
    codes: list[str] = done(confirmed)["recovery_codes"]
    return codes


async def log_in(vps: Vps, **shown: str) -> Any:
    return await vps.http.post("/api/auth/login", json={"login": "sara", "password": PASSWORD} | shown)


async def test_what_is_done_about_the_second_factor_is_told(vps: Vps) -> None:
    sara = await make_verified_student(vps)
    codes = await switch_on(sara)
    assert await notices(vps) == [(SARA, "totp_enabled", "en")]
    refused(await log_in(vps, recovery_code="aaaaa-aaaaa"), 401, "bad_totp")
    assert len(await notices(vps)) == 1
    done(await log_in(vps, recovery_code=codes[0]))
    shown = {"password": PASSWORD, "recovery_code": codes[1]}
    new = done(await sara.post("/api/auth/totp/recovery-codes", shown))["recovery_codes"]
    done(await sara.post("/api/auth/totp/remove", {"password": PASSWORD, "recovery_code": new[0]}), 204)
    done(await log_in(vps))
    told = ["totp_enabled", "recovery_code_used", "recovery_code_used", "recovery_codes_replaced"]
    told += ["recovery_code_used", "totp_removed"]
    assert await notices(vps) == [(SARA, template, "en") for template in told]


async def test_who_knows_the_password_and_tries_codes_is_told_of_once_a_day(vps: Vps) -> None:
    """Not at once: the owner mistypes codes too."""
    sara = await make_verified_student(vps)
    codes = await switch_on(sara)
    for wrong in range(12):
        await log_in(vps, recovery_code="aaaaa-aaaaa")
        assert len(await notices(vps)) == (1 if wrong < 3 else 2)
    assert await notices(vps) == [(SARA, "totp_enabled", "en"), (SARA, "second_factor_failed", "en")]
    for hours, told in ((23, 2), (2, 3)):
        await vps.rows("UPDATE rate_limits SET full_at = full_at - make_interval(hours => :h)", h=hours)
        for _ in range(5):
            await log_in(vps, recovery_code="aaaaa-aaaaa")
        assert len(await notices(vps)) == told
    await vps.rows("DELETE FROM rate_limits")
    done(await log_in(vps, recovery_code=codes[0]))


async def test_to_an_address_that_nobody_has_proved_that_is_not_told(vps: Vps) -> None:
    await switch_on(await make_student(vps))
    for _ in range(6):
        refused(await log_in(vps, recovery_code="aaaaa-aaaaa"), 401, "bad_totp")
    assert await notices(vps) == []


async def test_so_is_what_an_operator_does_about_it(vps: Vps, tmp_path: Path) -> None:
    environment = vps_environment(vps.settings.database_url, vps.secrets, tmp_path)
    sara = await make_verified_student(vps)
    await switch_on(sara)
    for _ in range(2):
        assert toptank("remove-totp", "sara", environment=environment)[0] == 0
    assert [template for _, template, _ in await notices(vps)] == ["totp_enabled", "totp_removed"]


async def test_it_is_told_in_the_owners_language(vps: Vps) -> None:
    sara = await make_verified_student(vps)
    done(await sara.patch("/api/users/me", {"locale": "ar"}))
    await switch_on(sara)
    change = {"old_password": PASSWORD, "new_password": "four strings and a bow"}
    done(await sara.post("/api/auth/change-password", change), 204)
    assert await notices(vps) == [(SARA, "totp_enabled", "ar"), (SARA, "password_changed", "ar")]


async def test_case_13_an_address_that_nobody_confirmed_is_told_nothing(vps: Vps) -> None:
    sara = await make_student(vps)
    codes = await switch_on(sara)
    done(await log_in(vps, recovery_code=codes[0]))
    done(await sara.post("/api/auth/totp/remove", {"password": PASSWORD, "recovery_code": codes[1]}), 204)
    assert await notices(vps) == []


async def test_what_is_not_done_is_not_told(vps: Vps) -> None:
    """The mail is written in the transaction of what it tells of."""
    sara = await make_verified_student(vps)
    codes = await switch_on(sara)
    await vps.rows("ALTER TABLE sign_ins RENAME TO gone")
    assert (await log_in(vps, recovery_code=codes[0])).status_code == 500
    await vps.rows("ALTER TABLE gone RENAME TO sign_ins")
    assert [template for _, template, _ in await notices(vps)] == ["totp_enabled"]
    done(await log_in(vps, recovery_code=codes[0]))


def test_each_notice_says_what_to_do_if_it_was_somebody_else() -> None:
    notices = {template for template, page in PAGES.items() if page == "forgot-password"} - {"address_in_use"}
    assert len(notices) > 4
    for template in notices:
        english, arabic = [TEMPLATES[template][language][1] for language in ("en", "ar")]
        assert "If it was not you, choose another" in english
        assert "إن لم تكن أنت فاختر" in arabic
