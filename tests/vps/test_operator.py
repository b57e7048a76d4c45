"""What an operator does at the terminal: make admins, vouch for contacts, try out followers."""

from pathlib import Path

import psycopg
import pyotp
import pytest

from shared.cli import COMMANDS
from tests.databases import empty_database
from tests.settings import vps_environment
from tests.vps.lives import leave, state_of
from tests.vps.people import (
    PASSWORD,
    done,
    make_student,
    make_teacher,
    make_verified_student,
    refused,
    sign_in,
    student_form,
)
from tests.vps.running import Vps
from tests.vps.terminal import toptank
from tests.vps.test_limits import PROXY, log_in, statuses
from tests.vps.test_totp import switch_on

pytestmark = pytest.mark.anyio

ANOTHER = "four strings and a bow"


@pytest.fixture
def environment(database_url: str, secrets_folder: Path, tmp_path: Path) -> dict[str, str]:
    return vps_environment(database_url, secrets_folder, tmp_path)


async def test_create_admin_makes_somebody_who_signs_in_as_admin(vps: Vps, environment: dict[str, str]) -> None:
    made = toptank("create-admin", "Boss", "Boss@Example.com", environment=environment, given=f"{PASSWORD}\n")
    assert made[0] == 0, made
    admin = await sign_in(vps, "boss@example.com")
    assert (admin.user["role"], admin.username) == ("admin", "boss")
    done(await admin.get("/api/admin/courses"))
    again = toptank("create-admin", "boss", "other@example.com", environment=environment, given=f"{PASSWORD}\n")
    assert again == (1, "toptank: This username is in use.\n")


async def test_a_new_admin_is_mailed_how_to_confirm_the_address(vps: Vps, environment: dict[str, str]) -> None:
    """Or an admin with a second factor would hear nothing of what is done with the account, and have no link to a new
    password.
    """
    toptank("create-admin", "boss", "boss@example.com", environment=environment, given=f"{PASSWORD}\n")
    (mail,) = await vps.rows("SELECT address, template, values ->> 'username' AS username FROM mails")
    assert mail == {"address": "boss@example.com", "template": "verify_email", "username": "boss"}


async def test_create_admin_takes_no_weak_password_and_no_odd_name(vps: Vps, environment: dict[str, str]) -> None:
    for name, email, password, wrong in (
        ("boss", "boss@example.com", "password", ["the password is"]),
        ("b", "boss", PASSWORD, ["username:", "email:"]),
    ):
        code, said = toptank("create-admin", name, email, environment=environment, given=f"{password}\n")
        assert (code, said.count("\n")) == (1, 1), said
        assert all(one in said for one in wrong), said
    assert await vps.rows("SELECT 1 FROM users") == []


async def test_confirm_contact_makes_a_follow_count(vps: Vps, environment: dict[str, str]) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    done(await student.put("/api/teachers/omar/follow"))
    assert toptank("confirm-contact", "sara", environment=environment)[0] == 0
    assert done(await teacher.get("/api/auth/me"))["followers"] == 1
    assert toptank("confirm-contact", "nobody", environment=environment) == (1, "toptank: there is no user nobody\n")


async def test_confirm_contact_takes_a_username_and_no_address_which_anybody_may_claim(
    vps: Vps, environment: dict[str, str]
) -> None:
    sara = await make_student(vps)
    done(await vps.http.post("/api/auth/register", json=student_form("thief", email="sara@example.com")), 201)
    said = toptank("confirm-contact", "sara@example.com", environment=environment)
    assert said == (1, "toptank: there is no user sara@example.com\n")
    assert toptank("confirm-contact", sara.username, environment=environment)[0] == 0
    assert toptank("confirm-contact", "thief", environment=environment) == (1, "toptank: This email is in use.\n")
    proved = await vps.rows("SELECT username FROM users WHERE email_verified_at IS NOT NULL")
    assert proved == [{"username": "sara"}]


async def test_an_admin_is_not_made_with_an_address_that_another_has_proved(
    vps: Vps, environment: dict[str, str]
) -> None:
    await make_verified_student(vps)
    made = toptank("create-admin", "boss", "Sara@Example.com", environment=environment, given=f"{PASSWORD}\n")
    assert made == (1, "toptank: This email is in use.\n")


async def test_remove_totp_lets_in_who_has_lost_everything_but_the_password(
    vps: Vps, environment: dict[str, str]
) -> None:
    sara = await make_student(vps)
    secret = done(await sara.post("/api/auth/totp", {"password": PASSWORD}), 201)["secret"]
    done(await sara.post("/api/auth/totp/confirm", {"code": pyotp.TOTP(secret).now()}))
    login = {"login": "sara", "password": PASSWORD}
    refused(await vps.http.post("/api/auth/login", json=login), 401, "totp_required")
    assert toptank("remove-totp", "sara", environment=environment)[0] == 0
    done(await vps.http.post("/api/auth/login", json=login))
    assert toptank("remove-totp", "nobody", environment=environment)[0] == 1


async def test_remove_totp_lets_in_who_would_take_back_that_they_leave(vps: Vps, environment: dict[str, str]) -> None:
    sara = await make_student(vps)
    await switch_on(vps, sara)
    done(await leave(sara), 202)
    assert toptank("remove-totp", "sara", environment=environment)[0] == 0
    done(await vps.http.post("/api/auth/login", json={"login": "sara", "password": PASSWORD}))
    assert await state_of(vps, sara) == "active"
    await vps.rows("UPDATE users SET state = 'banned'")
    assert toptank("remove-totp", "sara", environment=environment)[0] == 1


async def test_reset_password_lets_in_who_forgot_theirs_and_ends_all_sessions(
    vps: Vps, environment: dict[str, str]
) -> None:
    sara = await make_verified_student(vps)
    assert toptank("reset-password", "Sara", environment=environment, given=f"{ANOTHER}\n")[0] == 0
    refused(await sara.get("/api/auth/me"), 401, "not_authenticated")
    refreshed = await vps.http.post("/api/auth/refresh", json={"refresh_token": sara.refresh_token})
    refused(refreshed, 401, "bad_refresh_token")
    login = {"login": "sara", "password": PASSWORD}
    refused(await vps.http.post("/api/auth/login", json=login), 401, "bad_credentials")
    done(await vps.http.post("/api/auth/login", json=login | {"password": ANOTHER}))
    (event,) = await vps.rows("SELECT actor_id, subject FROM audit_events WHERE what = 'password_reset'")
    assert event == {"actor_id": None, "subject": str(sara.id)}
    (mail,) = await vps.rows("SELECT address FROM mails WHERE template = 'password_changed'")
    assert mail == {"address": "sara@example.com"}
    kinds = [change["kind"] for change in await vps.rows("SELECT kind FROM changes ORDER BY number")]
    assert kinds == ["user_signed_out", "session_ended"]


@pytest.mark.settings(login_failures=2, login_failures_per_client=0, logins_per_account=4, trusted_proxies=[PROXY])
async def test_a_password_that_an_operator_gave_signs_in_at_once_whoever_guessed_at_the_old_one(
    vps: Vps, environment: dict[str, str]
) -> None:
    await make_student(vps)
    guesses = [log_in(vps, "sara", **{"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(5)]
    assert await statuses(*guesses) == [401] * 4 + [429]
    limits = {"TOPTANK_LOGIN_FAILURES": "2", "TOPTANK_LOGINS_PER_ACCOUNT": "4"}
    assert toptank("reset-password", "sara", environment=environment | limits, given=f"{ANOTHER}\n")[0] == 0
    for login in ("sara", "sara@example.com"):
        done(await log_in(vps, login, ANOTHER))


async def test_reset_password_takes_no_weak_password_and_nobody_who_may_not_sign_in(
    vps: Vps, environment: dict[str, str]
) -> None:
    sara = await make_student(vps)
    for password in ("password", "sara@example.com", ""):
        code, said = toptank("reset-password", "sara", environment=environment, given=f"{password}\n")
        assert (code, said.count("\n")) == (1, 1), said
    done(await sara.get("/api/auth/me"))
    await vps.rows("UPDATE users SET state = 'banned'")
    for name in ("sara", "nobody"):
        assert toptank("reset-password", name, environment=environment, given=f"{ANOTHER}\n")[0] == 1
    assert await vps.rows("SELECT 1 FROM audit_events WHERE what = 'password_reset'") == []


async def test_seeded_followers_are_real_rows_that_nobody_can_sign_in_as(vps: Vps, environment: dict[str, str]) -> None:
    teacher = await make_teacher(vps)
    assert toptank("seed-followers", "omar", "3", environment=environment) == (0, "omar has 3 followers\n")
    assert done(await teacher.get("/api/auth/me"))["followers"] == 3
    for row in await vps.rows("SELECT username FROM users WHERE role = 'student'"):
        for password in ("!", "", PASSWORD):
            login = await vps.http.post("/api/auth/login", json={"login": row["username"], "password": password})
            refused(login, 401, "bad_credentials")
    assert toptank("seed-followers", "nobody", "3", environment=environment)[0] == 1
    assert toptank("seed-followers", "omar", "-1", environment=environment)[0] == 2


def test_an_unknown_command_lists_the_known_ones() -> None:
    code, said = toptank("fly", environment={})
    assert code == 1
    assert "there is no command fly" in said
    assert "create-admin" in said
    assert toptank("--help", environment={})[0] == 0
    assert toptank(environment={})[0] == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_tells_what_it_is_for_instead_of_doing_it(command: str) -> None:
    code, said = toptank(command, "--help", environment={})
    assert code == 0
    assert said.startswith(f"usage: toptank {command} ")


def test_what_a_command_does_not_know_keeps_it_from_beginning(template_url: str, environment: dict[str, str]) -> None:
    with empty_database(template_url) as url:
        for word in ("now", "--port=80"):
            code, said = toptank("migrate", word, environment=environment | {"TOPTANK_DATABASE_URL": url})
            assert (code, "unrecognized" in said) == (2, True), said
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT to_regclass('users')").fetchone() == (None,)
