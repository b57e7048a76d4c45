"""The second factor: asked for once it is on, good once, and needed by admins where it matters."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx
import pyotp
import pytest
from sqlalchemy import text

from shared.contract import UPLOAD_RIGHTS, UploadQuestion
from shared.tokens import verify_access
from tests.settings import PRODUCTION
from tests.vps.people import PASSWORD, Person, announced, done, make_admin, make_student, refused, sign_in, signed_in
from tests.vps.running import Vps
from tests.vps.waiting import is_answered_or_waits

pytestmark = pytest.mark.anyio

Act = Callable[..., Awaitable[httpx.Response]]


async def log_in(vps: Vps, login: str = "sara", **more: str) -> httpx.Response:
    return await vps.http.post("/api/auth/login", json={"login": login, "password": PASSWORD} | more)


async def enrol(person: Person) -> str:
    """The secret, as an authenticator app has it."""
    secret: str = done(await person.post("/api/auth/totp", {"password": PASSWORD}), 201)["secret"]
    return secret


def code(secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(time.time(), counter_offset=steps)


async def switch_on(vps: Vps, person: Person) -> tuple[str, list[str]]:
    """The secret and the recovery codes."""
    secret = await enrol(person)
    codes: list[str] = done(await person.post("/api/auth/totp/confirm", {"code": code(secret)}))["recovery_codes"]
    await a_while_later(vps)
    return secret, codes


async def a_while_later(vps: Vps) -> None:
    """So much that a code that was used is followed by another by now."""
    await vps.rows("UPDATE totp_secrets SET last_step = last_step - 10")


def wrong(secret: str) -> str:
    near = {code(secret, steps) for steps in range(-3, 4)}
    return next(
        other for other in ("000000", "111111", *(f"{n:06d}" for n in range(222222, 222240))) if other not in near
    )


async def test_it_is_asked_for_once_its_first_code_was_confirmed(vps: Vps) -> None:
    sara = await make_student(vps)
    secret = await enrol(sara)
    done(await log_in(vps))
    refused(await sara.post("/api/auth/totp/confirm", {"code": wrong(secret)}), 422, "wrong_code")
    done(await log_in(vps))
    done(await sara.post("/api/auth/totp/confirm", {"code": code(secret)}))
    await a_while_later(vps)
    refused(await log_in(vps), 401, "totp_required")
    refused(await log_in(vps, totp=wrong(secret)), 401, "bad_totp")
    again = signed_in(vps, done(await log_in(vps, totp=code(secret))))
    for session in (sara, again):  # who is signed in already stays so
        done(await session.get("/api/auth/me"))


async def test_the_first_code_is_not_guessed_either(vps: Vps) -> None:
    sara = await make_student(vps)
    secret = await enrol(sara)
    for _ in range(10):
        refused(await sara.post("/api/auth/totp/confirm", {"code": wrong(secret)}), 422, "wrong_code")
    refused(await sara.post("/api/auth/totp/confirm", {"code": code(secret)}), 429, "too_many_requests")


async def test_an_app_is_told_who_and_where(vps: Vps) -> None:
    sara = await make_student(vps)
    told = done(await sara.post("/api/auth/totp", {"password": PASSWORD}), 201)
    app = pyotp.parse_uri(told["uri"])
    assert isinstance(app, pyotp.TOTP)
    assert (app.secret, app.name, app.issuer, app.interval) == (told["secret"], "sara", "TopTank", 30)


async def test_clocks_may_be_half_a_minute_apart_and_no_more(vps: Vps) -> None:
    secret, _ = await switch_on(vps, await make_student(vps))
    for steps in (-3, 3):
        refused(await log_in(vps, totp=code(secret, steps)), 401, "bad_totp")
    done(await log_in(vps, totp=code(secret, 1)))


async def test_a_code_is_good_once(vps: Vps) -> None:
    sara = await make_student(vps)
    secret = await enrol(sara)
    used = code(secret)
    done(await sara.post("/api/auth/totp/confirm", {"code": used}))
    refused(await log_in(vps, totp=used), 401, "bad_totp")
    following = code(secret, 1)
    done(await log_in(vps, totp=following))
    for older in (following, used):
        refused(await log_in(vps, totp=older), 401, "bad_totp")


async def test_of_eight_who_sign_in_with_one_code_at_once_one_is_let_in(vps: Vps) -> None:
    secret, recovery = await switch_on(vps, await make_student(vps))
    for shown in ({"totp": code(secret)}, {"recovery_code": recovery[0]}):
        await vps.rows("DELETE FROM rate_limits")
        answers = await asyncio.gather(*(log_in(vps, **shown) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200, *[401] * 7]


async def test_each_recovery_code_signs_in_once_however_it_is_typed(vps: Vps) -> None:
    _, codes = await switch_on(vps, await make_student(vps))
    assert len({*codes}) == 10
    for typed in (codes[0], codes[1].upper(), f" {codes[2].replace('-', ' ')} "):
        done(await log_in(vps, recovery_code=typed))
        refused(await log_in(vps, recovery_code=typed), 401, "bad_totp")
    refused(await log_in(vps, recovery_code="aaaaa-aaaaa"), 401, "bad_totp")
    done(await log_in(vps, recovery_code=codes[3]))


async def test_a_recovery_code_of_somebody_else_is_worth_nothing(vps: Vps) -> None:
    await switch_on(vps, await make_student(vps))
    secret, codes = await switch_on(vps, await make_student(vps, "ali"))
    refused(await log_in(vps, recovery_code=codes[0]), 401, "bad_totp")
    refused(await log_in(vps, totp=code(secret)), 401, "bad_totp")
    done(await log_in(vps, "ali", recovery_code=codes[0]))


async def test_without_the_password_a_code_opens_nothing_and_is_not_spent(vps: Vps) -> None:
    secret, codes = await switch_on(vps, await make_student(vps))
    shown = {"totp": code(secret)}
    for password in ("wrong", ""):
        refused(await log_in(vps, password=password, **shown), 401, "bad_credentials")
        refused(await log_in(vps, password=password, recovery_code=codes[0]), 401, "bad_credentials")
    done(await log_in(vps, **shown))
    done(await log_in(vps, recovery_code=codes[0]))


async def test_who_has_none_may_show_one_all_the_same(vps: Vps) -> None:
    await make_student(vps)
    done(await log_in(vps, totp="123456", recovery_code="x"))


@pytest.mark.parametrize("typed", ["12345", "1234567", "abcdef", "١٢٣٤٥٦", "12345\0"])
async def test_what_is_no_code_is_refused_as_such(vps: Vps, typed: str) -> None:
    await make_student(vps)
    refused(await log_in(vps, totp=typed), 422, "validation_failed")


async def remove(person: Person, **shown: str) -> httpx.Response:
    return await person.post("/api/auth/totp/remove", {"password": PASSWORD} | shown)


async def new_codes(person: Person, **shown: str) -> httpx.Response:
    return await person.post("/api/auth/totp/recovery-codes", {"password": PASSWORD} | shown)


async def test_a_stolen_token_neither_enrols_nor_removes_it(vps: Vps) -> None:
    sara = await make_student(vps)
    refused(await sara.post("/api/auth/totp", {"password": "wrong"}), 403, "wrong_password")
    await switch_on(vps, sara)
    refused(await remove(sara, password="wrong"), 403, "wrong_password")
    refused(await sara.post("/api/auth/totp", {"password": PASSWORD}), 409, "totp_already_on")
    refused(await log_in(vps), 401, "totp_required")


@pytest.mark.parametrize("act", [remove, new_codes])
async def test_a_stolen_token_and_the_password_are_too_little_to_be_rid_of_it(vps: Vps, act: Act) -> None:
    sara = await make_student(vps)
    secret, codes = await switch_on(vps, sara)
    refused(await act(sara), 403, "second_factor_required")
    refused(await act(sara, totp=wrong(secret)), 403, "wrong_second_factor")
    refused(await act(sara, recovery_code="aaaaa-aaaaa"), 403, "wrong_second_factor")
    refused(await act(sara, password="wrong", totp=code(secret)), 403, "wrong_password")
    refused(await log_in(vps), 401, "totp_required")
    assert len(await vps.rows("SELECT 1 FROM recovery_codes")) == 10
    spent = code(secret)
    done(await log_in(vps, totp=spent))
    refused(await act(sara, totp=spent), 403, "wrong_second_factor")
    assert (await act(sara, recovery_code=codes[0])).is_success
    again = (409, "totp_off") if act is remove else (403, "wrong_second_factor")
    refused(await act(sara, recovery_code=codes[0]), *again)


@pytest.mark.parametrize("act", [remove, new_codes])
async def test_codes_are_not_guessed_there_either(vps: Vps, act: Act) -> None:
    sara = await make_student(vps)
    secret, codes = await switch_on(vps, sara)
    await vps.rows("DELETE FROM rate_limits")
    for _ in range(5):
        refused(await act(sara, totp=wrong(secret)), 403, "wrong_second_factor")
        refused(await log_in(vps, totp=wrong(secret)), 401, "bad_totp")
    refused(await act(sara, totp=code(secret)), 429, "too_many_requests")
    refused(await log_in(vps, recovery_code=codes[0]), 429, "too_many_requests")


async def test_passwords_are_not_guessed_by_asking_again(vps: Vps) -> None:
    sara = await make_student(vps)
    answers = [await sara.post("/api/auth/totp", {"password": f"guess {n}"}) for n in range(12)]
    assert [answer.status_code for answer in answers] == [*[403] * 10, *[429] * 2]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_codes_are_not_guessed(vps: Vps) -> None:
    secret, codes = await switch_on(vps, await make_student(vps))
    await vps.rows("DELETE FROM rate_limits")
    for _ in range(10):
        await log_in(vps, totp=wrong(secret))
    refused(await log_in(vps, totp=code(secret)), 429, "too_many_requests")
    refused(await log_in(vps, recovery_code=codes[0]), 429, "too_many_requests")


async def test_once_removed_the_password_is_enough_and_no_code_is_left(vps: Vps) -> None:
    sara = await make_student(vps)
    secret, _ = await switch_on(vps, sara)
    done(await remove(sara, totp=code(secret)), 204)
    done(await log_in(vps))
    assert await vps.rows("SELECT 1 FROM totp_secrets") == await vps.rows("SELECT 1 FROM recovery_codes") == []
    refused(await remove(sara), 409, "totp_off")
    refused(await sara.post("/api/auth/totp/confirm", {"code": "123456"}), 409, "totp_not_begun")
    await switch_on(vps, sara)
    refused(await log_in(vps), 401, "totp_required")


async def test_recovery_codes_are_made_anew_and_the_old_ones_are_void(vps: Vps) -> None:
    sara = await make_student(vps)
    secret, old = await switch_on(vps, sara)
    done(await log_in(vps, recovery_code=old[0]))
    new = done(await new_codes(sara, totp=code(secret)))["recovery_codes"]
    await a_while_later(vps)
    assert len({*new, *old}) == 20
    for code_of_before in old[:3]:
        refused(await log_in(vps, recovery_code=code_of_before), 401, "bad_totp")
    done(await log_in(vps, recovery_code=new[0]))
    done(await log_in(vps, totp=code(secret)))
    assert len(await vps.rows("SELECT 1 FROM recovery_codes")) == 9


async def test_new_recovery_codes_take_the_password_and_a_second_factor(vps: Vps) -> None:
    sara = await make_student(vps)
    refused(await new_codes(sara), 409, "totp_off")
    await enrol(sara)
    refused(await new_codes(sara), 409, "totp_off")
    _, old = await switch_on(vps, sara)
    refused(await new_codes(sara, password="wrong"), 403, "wrong_password")
    done(await log_in(vps, recovery_code=old[0]))
    answers = [await new_codes(sara, password=f"guess {n}") for n in range(10)]
    assert answers[-1].status_code == 429


async def test_of_many_who_ask_for_new_codes_at_once_by_old_ones_the_first_has_made_the_others_void(vps: Vps) -> None:
    sara = await make_student(vps)
    _, old = await switch_on(vps, sara)
    await vps.rows("DELETE FROM rate_limits")
    answers = await asyncio.gather(*(new_codes(sara, recovery_code=one) for one in old[:5]))
    assert sorted(answer.status_code for answer in answers) == [200, *[403] * 4]
    (new,) = [answer.json()["recovery_codes"] for answer in answers if answer.is_success]
    assert len(await vps.rows("SELECT 1 FROM recovery_codes")) == 10
    await vps.rows("DELETE FROM rate_limits")
    done(await log_in(vps, recovery_code=new[0]))


async def test_of_two_enrolments_the_later_counts(vps: Vps) -> None:
    sara = await make_student(vps)
    first, second = await enrol(sara), await enrol(sara)
    refused(await sara.post("/api/auth/totp/confirm", {"code": code(first)}), 422, "wrong_code")
    done(await sara.post("/api/auth/totp/confirm", {"code": code(second)}))


async def test_of_two_who_confirm_at_once_one_is_given_the_recovery_codes(vps: Vps) -> None:
    sara = await make_student(vps)
    shown = {"code": code(await enrol(sara))}
    answers = await asyncio.gather(*(sara.post("/api/auth/totp/confirm", shown) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 7]
    assert len(await vps.rows("SELECT 1 FROM recovery_codes")) == 10


ENDS = (
    "UPDATE users SET generation = generation + 1 WHERE id = :id",
    "UPDATE users SET state = 'banned' WHERE id = :id",
    "DELETE FROM sign_ins WHERE user_id = :id",
)


@pytest.mark.parametrize("end", ENDS, ids=["signed out everywhere", "banned", "signed out there"])
async def test_whose_session_ended_a_moment_ago_switches_nothing_on(vps: Vps, end: str) -> None:
    """Or a thief, who is sent away by a new password, would lock out whoever chose it."""
    thief = await make_student(vps)
    shown = {"code": code(await enrol(thief))}
    async with vps.sessions() as session:
        await session.execute(text(end), {"id": thief.id})
        confirming = asyncio.create_task(thief.post("/api/auth/totp/confirm", shown))
        await is_answered_or_waits(vps, confirming)
        await session.commit()
    refused(await confirming, 401, "not_authenticated")
    assert (await vps.row("SELECT totp_since FROM users"))["totp_since"] is None


async def test_the_database_alone_makes_no_code(vps: Vps) -> None:
    sara, ali = await make_student(vps), await make_student(vps, "ali")
    secret, codes = await switch_on(vps, sara)
    of_ali, _ = await switch_on(vps, ali)
    kept = repr(await vps.rows("SELECT * FROM totp_secrets")) + repr(await vps.rows("SELECT * FROM recovery_codes"))
    for readable in (secret, of_ali, *codes, codes[0].replace("-", "")):
        assert readable not in kept
    # Nor does writing to it: a secret that one knows, moved to somebody else's row, opens nothing there.
    moved = (
        "UPDATE totp_secrets SET sealed = (SELECT sealed FROM totp_secrets WHERE user_id = :ali) WHERE user_id = :id"
    )
    await vps.rows(moved, ali=ali.id, id=sara.id)
    refused(await log_in(vps, totp=code(of_ali)), 401, "bad_totp")


async def test_the_log_says_who_switched_it_on_and_off(vps: Vps) -> None:
    sara = await make_student(vps)
    secret, codes = await switch_on(vps, sara)
    done(await log_in(vps, recovery_code=codes[0]))
    done(await new_codes(sara, totp=code(secret)))
    done(await remove(sara, totp=code(secret, 1)), 204)
    told = await vps.rows("SELECT what FROM audit_events WHERE actor_id = :id ORDER BY id", id=sara.id)
    acts = [row["what"] for row in told]
    told_of = ["totp_enabled", "recovery_code_used", "recovery_codes_replaced", "totp_removed"]
    assert [act for act in acts if act not in ("registered", "signed_in")] == told_of


# --- admins in production ---------------------------------------------------------------------------------------

in_production = pytest.mark.settings(**PRODUCTION)


@in_production
async def test_in_production_an_admin_without_it_can_do_nothing_but_enrol(vps: Vps) -> None:
    admin = await make_admin(vps)
    tried = [
        ("GET", "/api/auth/me"),
        ("GET", "/api/admin/courses"),
        ("GET", "/api/keys"),
        ("DELETE", "/api/auth/sessions"),
        ("POST", "/api/auth/totp/remove"),
        ("POST", f"/api/admin/users/{admin.id}/ban"),
    ]
    for method, path in tried:
        refused(await admin.send(method, path, json={} if method == "POST" else None), 401, "totp_enrolment_required")
    claims = verify_access(admin.access_token, vps.app.state.vps.access_keys)
    asked = UploadQuestion(user_id=admin.id, generation=claims.generation, kind="practice")
    assert done(await vps.node.post(UPLOAD_RIGHTS, asked))["reason"] == "signed_out"
    await switch_on(vps, admin)
    done(await admin.get("/api/admin/courses"))
    assert done(await vps.node.post(UPLOAD_RIGHTS, asked))["allowed"]


@in_production
async def test_in_production_an_admin_who_has_it_no_more_is_let_in_by_no_node_either(vps: Vps) -> None:
    """Whatever a node remembers of their rights, it has to ask about anew."""
    admin = await make_admin(vps)
    secret, _ = await switch_on(vps, admin)
    both = {"password": PASSWORD, "totp": code(secret)}
    done(await admin.post("/api/auth/totp/remove", both), 204)
    (told,) = await announced(vps)
    assert told == {"kind": "user_role_changed", "user_id": str(admin.id)}
    claims = verify_access(admin.access_token, vps.app.state.vps.access_keys)
    asked = UploadQuestion(user_id=admin.id, generation=claims.generation, kind="practice")
    assert done(await vps.node.post(UPLOAD_RIGHTS, asked))["reason"] == "signed_out"


@in_production
async def test_in_production_others_need_none(vps: Vps) -> None:
    sara = await make_student(vps)
    done(await sara.get("/api/auth/me"))


async def test_elsewhere_an_admin_needs_none(vps: Vps) -> None:
    admin = await make_admin(vps)
    done(await admin.get("/api/admin/courses"))
    done(await (await sign_in(vps, "root-admin")).get("/api/auth/me"))
