"""What an operator does at the terminal: make admins, vouch for contacts, try out followers."""

from pathlib import Path

import pyotp
import pytest

from tests.settings import vps_environment
from tests.vps.people import PASSWORD, done, make_student, make_teacher, refused, sign_in
from tests.vps.running import Vps
from tests.vps.terminal import toptank

pytestmark = pytest.mark.anyio


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


async def test_create_admin_takes_no_weak_password_and_no_odd_name(vps: Vps, environment: dict[str, str]) -> None:
    for name, email, password in (
        ("boss", "boss@example.com", "password"),
        ("b", "boss", PASSWORD),
    ):
        code, said = toptank("create-admin", name, email, environment=environment, given=f"{password}\n")
        assert (code, said.count("\n")) == (1, 1), said
    assert await vps.rows("SELECT 1 FROM users") == []


async def test_confirm_contact_makes_a_follow_count(vps: Vps, environment: dict[str, str]) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    done(await student.put("/api/teachers/omar/follow"))
    assert toptank("confirm-contact", "sara", environment=environment)[0] == 0
    assert done(await teacher.get("/api/auth/me"))["followers"] == 1
    assert toptank("confirm-contact", "nobody", environment=environment) == (1, "toptank: there is no user nobody\n")


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
