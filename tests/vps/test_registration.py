"""Registering: what is taken in, what is refused, and that nobody gives themselves anything."""

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from zxcvbn import zxcvbn

from shared import logs
from tests.vps.people import (
    PASSWORD,
    ask_to_teach,
    done,
    make_student,
    make_teacher,
    refused,
    student_form,
    teacher_form,
)
from tests.vps.running import Vps
from tests.vps.waiting import SOON_S
from vps_service.accounts import passwords
from vps_service.models import Teacher, User
from vps_service.profiles.actions import remove_stray_images

pytestmark = pytest.mark.anyio

COLUMNS = {**User.__table__.columns, **Teacher.__table__.columns}
ASKED_FOR = {"name", "username", "email", "phone"}
LONG = "Tune the oud to C F A D G C, then play maqam Bayati slowly, forty times a day."
GREEDY: dict[str, Any] = {
    **{column: "teacher" for column in COLUMNS if column not in ASKED_FOR},
    **{"role": "admin", "followers": 15_000, "verified": True, "balance": 1_000_000, "is_admin": True},
    **{"email_verified_at": "2026-01-01T00:00:00Z", "verified_at": "2026-01-01T00:00:00Z", "state": "active"},
}


async def register(vps: Vps, **changes: Any) -> Any:
    return await vps.http.post("/api/auth/register", json=student_form() | changes)


async def test_a_student_registers_and_is_signed_in(vps: Vps) -> None:
    answer = done(await register(vps), 201)
    assert answer["token_type"] == "bearer"
    assert answer["expires_in"] == vps.settings.access_token_s
    assert {name: answer["user"][name] for name in ("role", "name", "username", "email", "phone", "image")} == {
        **{"role": "student", "name": "Sara", "username": "sara", "email": "sara@example.com"},
        **{"phone": None, "image": None},
    }
    me = await vps.http.get("/api/auth/me", headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert done(me) == answer["user"]


async def test_registering_is_told_in_the_log_of_sign_ins(vps: Vps) -> None:
    people = await make_student(vps), await make_teacher(vps)
    refused(await register(vps, email="s@example.com"), 409, "already_taken")
    told = await vps.rows("SELECT * FROM audit_events WHERE what = 'registered' ORDER BY id")
    assert [(row["actor_id"], row["subject"]) for row in told] == [(person.id, str(person.id)) for person in people]
    assert [(row["address"], row["details"]) for row in told] == [("127.0.0.1", {})] * 2
    assert all(row["request_id"] for row in told)


async def test_a_teacher_registers_with_nothing_earned_yet(vps: Vps) -> None:
    teacher = (await make_teacher(vps)).user
    assert teacher["role"] == "teacher"
    assert (teacher["followers"], teacher["verified"], teacher["courses"]) == (0, False, [])
    assert teacher["balance"] == {"amount": 0, "currency": "EGP"}
    assert teacher["email"] is None


async def test_a_teacher_needs_a_phone_and_an_image(vps: Vps) -> None:
    form = teacher_form()
    del form["phone"]
    assert refused(await ask_to_teach(vps, form), 422, "validation_failed")["errors"][0]["field"] == "body.phone"
    response = await vps.http.post("/api/auth/register/teacher", data=teacher_form())
    assert refused(response, 422, "validation_failed")["errors"][0]["field"] == "body.image"


async def test_no_column_can_be_set_by_who_registers(vps: Vps) -> None:
    for column, value in GREEDY.items():
        for response in (
            await register(vps, **{column: value}),
            await ask_to_teach(vps, teacher_form(**{column: value})),
        ):
            problem = refused(response, 422, "validation_failed")
            assert problem["errors"][0]["field"] == f"body.{column}"
    assert await vps.rows("SELECT * FROM users") == []


async def test_what_is_stored_is_what_was_asked_for_and_defaults(vps: Vps) -> None:
    await make_student(vps, "sara")
    await make_teacher(vps, "omar")
    student = await vps.row("SELECT * FROM users WHERE username = 'sara'")
    teacher = await vps.row("SELECT * FROM users JOIN teachers ON user_id = id WHERE username = 'omar'")
    for stored, role in ((student, "student"), (teacher, "teacher")):
        assert (stored["role"], stored["state"]) == (role, "active")
        assert (stored["email_verified_at"], stored["phone_verified_at"]) == (None, None)
        assert stored["password_hash"].startswith("$2b$04$")
    assert (teacher["followers"], teacher["verified_at"]) == (0, None)


async def test_parameters_of_the_address_change_nothing(vps: Vps) -> None:
    answer = await vps.http.post("/api/auth/register?role=admin&followers=15000", json=student_form())
    assert done(answer, 201)["user"]["role"] == "student"


async def test_there_is_no_public_way_to_become_an_admin(vps: Vps) -> None:
    refused(await vps.http.post("/api/auth/register/admin", json=student_form()), 404, "not_found")


@pytest.mark.parametrize(
    ("password", "accepted"),
    [
        pytest.param("k7#mQ9x", False, id="7 characters"),
        pytest.param("k7#mQ9xz", True, id="8 characters"),
        pytest.param(LONG[:71], True, id="71 bytes"),
        pytest.param(LONG[:72], True, id="72 bytes"),
        pytest.param(LONG[:73], False, id="73 bytes"),
        pytest.param("كلمة سر طويلة جدا وصعبة التخمين", True, id="55 bytes of Arabic"),
        pytest.param("كلمةسرطويلةجداوصعبةالتخمينلايعرفهاأحد", False, id="37 letters, 74 bytes"),
        pytest.param("🎻🥁🎷🎺🪕🪘🎹🎸", True, id="8 emoji"),
        pytest.param("🎻" * 19, False, id="19 emoji, 76 bytes"),
        pytest.param("k7#mQ9\0xzW", False, id="NUL"),
        pytest.param("password", False, id="the commonest"),
        pytest.param("12345678", False, id="digits in order"),
        pytest.param("sara2026", False, id="the username and the year"),
        pytest.param("", False, id="empty"),
        pytest.param("a" * 5000, False, id="5,000 characters"),
    ],
)
async def test_case_12_a_password_is_long_enough_and_fits_bcrypt_whole(vps: Vps, password: str, accepted: bool) -> None:
    response = await register(vps, password=password)
    if not accepted:
        problem = refused(response, 422, "validation_failed")
        assert problem["errors"][0]["field"] == "body.password"
        assert f'"{password}"' not in response.text
        return
    done(response, 201)
    for tried, status in ((password, 200), (password[:-1], 401)):
        login = await vps.http.post("/api/auth/login", json={"login": "sara", "password": tried})
        assert login.status_code == status


HARD_TO_SCORE = "4@8({[<3691!|1|7$05+7%2" * 4
"""Every character may stand for several letters; the strength meter takes seconds for 72 of these."""


async def test_a_password_that_is_hard_to_score_holds_up_nobody_else(vps: Vps, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scoring goes on until others were answered, which they never are where it keeps the event loop to itself."""
    begun, others_were_answered = threading.Event(), threading.Event()
    scored = list[tuple[str, bool]]()

    def slow(password: str, **more: Any) -> Any:
        begun.set()
        scored.append((password, others_were_answered.wait(SOON_S)))
        return zxcvbn(password, **more)

    monkeypatch.setattr(passwords, "zxcvbn", slow)
    registering = asyncio.ensure_future(register(vps, password=HARD_TO_SCORE[:72]))
    assert await asyncio.to_thread(begun.wait, SOON_S)
    for _ in range(11):
        assert (await vps.http.get("/api/courses")).status_code == 200
    others_were_answered.set()
    done(await registering, 201)
    assert scored == [(HARD_TO_SCORE[:24], True)]


@pytest.mark.parametrize(
    ("password", "accepted"),
    [
        pytest.param("a" * 24 + "k7#mQ9xzW!tr", False, id="strong from the 25th on"),
        pytest.param("a" * 15 + "k7#mQ9xzW!tr", True, id="strong from the 16th on"),
    ],
)
async def test_the_first_24_characters_of_a_password_have_to_be_strong(vps: Vps, password: str, accepted: bool) -> None:
    response = await register(vps, password=password)
    assert response.status_code == (201 if accepted else 422), response.text


async def test_spaces_of_a_password_are_part_of_it(vps: Vps) -> None:
    done(await register(vps, password=f" {PASSWORD} "), 201)
    for tried, status in ((f" {PASSWORD} ", 200), (PASSWORD, 401)):
        login = await vps.http.post("/api/auth/login", json={"login": "sara", "password": tried})
        assert login.status_code == status


async def test_a_username_belongs_to_one_account_however_it_is_written(vps: Vps) -> None:
    """Addresses are test_claimed_addresses' business."""
    done(await register(vps, username="Sara"), 201)
    refusal = refused(await register(vps, username="sARA", email="other@example.com"), 409, "already_taken")
    assert refusal["detail"] == "This username is in use."


async def test_of_twenty_registrations_of_one_username_one_wins(vps: Vps) -> None:
    forms = [student_form(email=f"sara{number}@example.com") for number in range(20)]
    answers = await asyncio.gather(*(vps.http.post("/api/auth/register", json=form) for form in forms))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 19]
    assert len(await vps.rows("SELECT 1 FROM users")) == 1


MISSHAPEN: dict[str, list[Any]] = {
    "username": ["ab", "a" * 33, ".sara", "sara.", "sa ra", "sa@ra", "+201001234567", "سارة", "sa\0ra", None],
    "email": ["sara", "sara@", "@example.com", "sara@example.com\0", f"{'a' * 250}@example.com", 7],
    "phone": ["0100123456", "+0100123456", "+20", "+2010012345678901", "+20100123456x", 201001234567],
    "name": ["", "   ", "a" * 101, "Sa\nra", "Sa\0ra", None, 7],
    "password": [None, 12345678, ["correct horse battery staple"]],
}


@pytest.mark.parametrize("field", MISSHAPEN)
async def test_each_field_has_a_shape(vps: Vps, field: str) -> None:
    for value in MISSHAPEN[field]:
        problem = refused(await register(vps, **{"name": "Sara", field: value}), 422, "validation_failed")
        assert problem["errors"][0]["field"] == f"body.{field}", value


async def test_somebody_without_email_and_phone_cannot_be_reached_and_not_register(vps: Vps) -> None:
    refused(await register(vps, email=None), 422, "validation_failed")
    done(await register(vps, email=None, phone="+201001234567"), 201)


async def test_what_is_not_a_json_object_is_refused(vps: Vps) -> None:
    for body in (b"", b"{", b"[]", b"null", b'"text"', b'{"name": "\\ud800"}'):
        response = await vps.http.post("/api/auth/register", content=body, headers={"Content-Type": "application/json"})
        refused(response, 422, "validation_failed")


async def test_bytes_that_no_parser_takes_are_a_bad_request(vps: Vps) -> None:
    form = "multipart/form-data"
    for path, kind, body in (
        ("/api/auth/register", "application/json", b'{"name": "\xff"}'),
        ("/api/auth/register", "application/json", b"[" * 100_000),
        ("/api/auth/register/teacher", form, b"--x\r\n"),
        ("/api/auth/register/teacher", f"{form}; boundary=x", b"not a form"),
        (
            "/api/auth/register/teacher",
            f"{form}; boundary=x",
            b"--x\r\nContent-Disposition: attachment\r\n\r\na\r\n--x--",
        ),
    ):
        response = await vps.http.post(path, content=body, headers={"Content-Type": kind})
        refused(response, 400, "bad_request")


SECRET_DOMAIN = "not-to-be-logged.example"
WITHOUT_TOKENS = "ALTER TABLE refresh_tokens ADD CONSTRAINT none_any_more CHECK (false)"


async def test_who_cannot_be_signed_in_is_not_registered_either(vps: Vps) -> None:
    await vps.rows(WITHOUT_TOKENS)
    refused(await register(vps), 500, "internal_error")
    refused(await ask_to_teach(vps, teacher_form()), 500, "internal_error")
    for table in ("users", "teachers", "refresh_tokens"):
        assert await vps.rows(f"SELECT 1 FROM {table}") == [], table
    await remove_stray_images(vps.sessions, vps.app.state.vps.images, timedelta(0))
    assert list((vps.settings.data_dir / "images").iterdir()) == []
    await vps.rows("ALTER TABLE refresh_tokens DROP CONSTRAINT none_any_more")
    done(await register(vps), 201)


@pytest.mark.parametrize("constraint", ["CHECK (role <> 'student')", "EXCLUDE ((split_part(email, '@', 2)) WITH =)"])
async def test_an_unexpected_database_error_is_logged_without_what_was_to_be_stored(
    vps: Vps, caplog: pytest.LogCaptureFixture, constraint: str
) -> None:
    """PostgreSQL itself repeats the row that it refuses."""
    done(await register(vps, email=f"sara@{SECRET_DOMAIN}"), 201)
    await vps.rows("UPDATE users SET role = 'admin'")
    await vps.rows(f"ALTER TABLE users ADD CONSTRAINT unheard_of {constraint}")
    refused(await register(vps, username="lina", email=f"lina@{SECRET_DOMAIN}"), 500, "internal_error")
    logged = "".join(logs.JsonLines("vps").format(record) for record in caplog.records)
    assert "unheard_of" in logged
    for told in ("$2b$", SECRET_DOMAIN, PASSWORD):
        assert told not in logged


async def test_no_answer_about_accounts_holds_a_hash(vps: Vps) -> None:
    student, teacher = await make_student(vps), await make_teacher(vps)
    stored = await vps.rows("SELECT password_hash FROM users")
    tokens = await vps.rows("SELECT encode(token_hash, 'hex') AS hex FROM refresh_tokens")
    login = await vps.http.post("/api/auth/login", json={"login": "sara", "password": PASSWORD})
    refresh = await vps.http.post("/api/auth/refresh", json={"refresh_token": student.refresh_token})
    answers = [login, refresh, await student.get("/api/auth/me"), await teacher.get("/api/auth/me")]
    said = "".join(answer.text for answer in answers) + str(student.user) + str(teacher.user)
    assert "hash" not in said
    assert PASSWORD not in said
    for row in (*stored, *tokens):
        assert not any(value in said for value in row.values())
