"""Another password by who knows the present one, and dearer hashes as time goes by."""

import asyncio
from typing import Any

import bcrypt
import httpx
import pytest

from tests.mail_server import MailServer
from tests.vps.people import PASSWORD, Person, done, make_student, make_verified_student, refused, sign_in
from tests.vps.running import Vps
from tests.vps.waiting import comes_true
from vps_service.accounts.passwords import Hasher

pytestmark = pytest.mark.anyio

ANOTHER = "four strings and a bow"


async def change(person: Person, old: str = PASSWORD, new: str = ANOTHER) -> httpx.Response:
    return await person.post("/api/auth/change-password", {"old_password": old, "new_password": new})


async def log_in(vps: Vps, password: str) -> httpx.Response:
    return await vps.http.post("/api/auth/login", json={"login": "sara", "password": password})


async def refresh(vps: Vps, person: Person) -> int:
    return (await vps.http.post("/api/auth/refresh", json={"refresh_token": person.refresh_token})).status_code


async def test_the_new_password_signs_in_and_the_old_one_no_more(vps: Vps) -> None:
    sara = await make_student(vps)
    done(await change(sara), 204)
    done(await log_in(vps, ANOTHER))
    refused(await log_in(vps, PASSWORD), 401, "bad_credentials")


async def test_everybody_else_is_signed_out_and_this_session_goes_on(vps: Vps) -> None:
    thief = await make_student(vps)
    sara, phone = await sign_in(vps, "sara"), await sign_in(vps, "sara")
    done(await change(sara), 204)
    for other in (thief, phone):
        refused(await other.get("/api/auth/me"), 401, "not_authenticated")
        assert await refresh(vps, other) == 401
    done(await sara.get("/api/auth/me"))
    assert await refresh(vps, sara) == 200


async def test_the_old_password_has_to_be_known(vps: Vps) -> None:
    sara = await make_student(vps)
    refused(await change(sara, old="wrong"), 403, "wrong_password")
    refused(await change(sara, old=f" {PASSWORD}"), 403, "wrong_password")
    done(await log_in(vps, PASSWORD))


async def test_it_is_not_guessed_here_either(vps: Vps) -> None:
    sara = await make_student(vps)
    for number in range(10):
        refused(await change(sara, old=f"guess {number}"), 403, "wrong_password")
    refused(await change(sara), 429, "too_many_requests")


@pytest.mark.parametrize("new", ["short", "password1", "sara@example.com", "x" * 73, "k7#mQ9\0xzW", PASSWORD])
async def test_a_weak_password_or_the_present_one_is_refused_by_name(vps: Vps, new: str) -> None:
    sara = await make_student(vps)
    problem = refused(await change(sara, new=new), 422, "validation_failed")
    assert "new_password" in problem["errors"][0]["field"]
    done(await log_in(vps, PASSWORD))


async def test_of_several_changes_at_once_one_is_made(vps: Vps) -> None:
    sara = await make_student(vps)
    new = [f"{ANOTHER} {number}" for number in range(6)]
    answers = await asyncio.gather(*(change(sara, new=one) for one in new))
    assert sorted(answer.status_code for answer in answers) == [204, *[403] * 5]
    (made,) = [one for one, answer in zip(new, answers, strict=True) if answer.status_code == 204]
    done(await log_in(vps, made))


async def test_a_link_to_reset_the_password_is_void_afterwards_and_its_owner_is_told(
    vps: Vps, mail_server: MailServer
) -> None:
    sara = await make_verified_student(vps)
    done(await vps.http.post("/api/auth/forgot-password", json={"login": "sara"}), 202)

    def came(subject: str) -> Any:
        async def is_there() -> bool:
            return subject in [mail.subject for mail in mail_server.mails]

        return comes_true(is_there)

    await came("Choose a new password")
    (link,) = [mail for mail in mail_server.mails if mail.subject == "Choose a new password"]
    done(await change(sara), 204)
    reset = {"token": link.token, "password": "yet another long one"}
    refused(await vps.http.post("/api/auth/reset-password", json=reset), 400, "link_not_valid")
    await came("Your password was changed")
    done(await log_in(vps, ANOTHER))


async def test_case_13_an_address_that_nobody_confirmed_is_not_told(vps: Vps) -> None:
    """Or whoever registers with a stranger's address fills their mailbox, by a change of password after the other."""
    await make_student(vps)
    done(await change(await sign_in(vps, "sara")), 204)
    assert await vps.rows("SELECT 1 FROM mails WHERE template = 'password_changed'") == []


# --- hashes that cost more than they did ---------------------------------------------------------------------------


async def cost(vps: Vps) -> int:
    kept = (await vps.row("SELECT password_hash FROM users WHERE username = 'sara'"))["password_hash"]
    return int(kept.split("$")[2])


async def hash_at(vps: Vps, cost: int) -> None:
    """As an installation with this cost has stored it."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost)).decode()
    await vps.rows("UPDATE users SET password_hash = :hashed WHERE username = 'sara'", hashed=hashed)


@pytest.mark.settings(bcrypt_cost=6)
async def test_a_cheap_hash_is_made_anew_by_who_signs_in(vps: Vps) -> None:
    await make_student(vps)
    await hash_at(vps, 4)
    refused(await log_in(vps, "wrong"), 401, "bad_credentials")
    assert await cost(vps) == 4
    for _ in range(2):
        done(await log_in(vps, PASSWORD))
        assert await cost(vps) == 6


async def test_case_10_a_cheap_hash_says_no_at_the_price_of_a_dear_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a quick answer tells that there is such an account."""
    work: list[int] = []
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    hasher, checkpw, hashpw = Hasher(8), bcrypt.checkpw, bcrypt.hashpw

    def counted_check(secret: bytes, against: bytes) -> bool:
        work.append(2 ** int(against.split(b"$")[2]))
        return checkpw(secret, against)

    def counted_hash(secret: bytes, salt: bytes) -> bytes:
        work.append(2 ** int(salt.split(b"$")[2]))
        return hashpw(secret, salt)

    monkeypatch.setattr(bcrypt, "checkpw", counted_check)
    monkeypatch.setattr(bcrypt, "hashpw", counted_hash)
    for kept in (hashed, None):
        work.clear()
        assert not await hasher.fits("wrong", kept)
        assert sum(work) == 2**8


@pytest.mark.settings(bcrypt_cost=4)
async def test_a_dearer_hash_stays(vps: Vps) -> None:
    await make_student(vps)
    await hash_at(vps, 6)
    done(await log_in(vps, PASSWORD))
    assert await cost(vps) == 6


@pytest.mark.settings(bcrypt_cost=6)
async def test_who_signs_in_beside_it_is_let_in_too(vps: Vps) -> None:
    await make_student(vps)
    for _ in range(4):
        await hash_at(vps, 4)
        for answer in await asyncio.gather(*(log_in(vps, PASSWORD) for _ in range(6))):
            done(answer)
        assert await cost(vps) == 6
