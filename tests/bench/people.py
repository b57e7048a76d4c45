"""Accounts in bulk that sign in as anybody does, and processes of the VPS beside the one of the stack."""

import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import bcrypt
import httpx
import psycopg
from uuid_utils.compat import uuid7

from tests.bench import beside
from tests.bench.load import request
from tests.bench.rig import PASSWORD, Rig
from tests.processes import free_port
from vps_service.settings import LIMITS, VpsSettings

LOGIN = "/api/auth/login"
BARE_VPS = "tests.bench.bare_vps"
COST = 12
"""What bcrypt costs where nobody set it."""
LIMITED = {f"TOPTANK_{name.upper()}": str(VpsSettings.model_fields[name].default) for name in LIMITS}
"""Every limit as it is where nobody set it."""

LATER, PATIENCE_S = (429, 503), 300

_addresses = count(1)


def from_elsewhere() -> dict[str, str]:
    """A header that names an address nobody has asked from yet, for a VPS that trusts us as its proxy."""
    number = next(_addresses)
    return {"X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}


def email_of(username: str) -> str:
    """Of an account that was seeded, or would be."""
    return f"{username}@example.com"


def seed_accounts(database: str, number: int, role: str = "student", *, cost: int) -> list[str]:
    """Usernames; each has PASSWORD, a verified e-mail and phone."""
    run = secrets.token_hex(3)
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost)).decode()
    phone = secrets.randbelow(10**5)
    people = [(uuid7(), f"{role}.{run}.{n}", f"+2{phone:05}{n:08}") for n in range(number)]
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO users (id, role, name, username, email, phone, password_hash, email_verified_at,"
            " phone_verified_at) VALUES (%s, %s, %s, %s, %s, %s, %s, now(), now())",
            [(user_id, role, name, name, email_of(name), phone, hashed) for user_id, name, phone in people],
        )
        if role == "teacher":
            cursor.executemany("INSERT INTO teachers (user_id) VALUES (%s)", [(user_id,) for user_id, _, _ in people])
    return [name for _, name, _ in people]


def seed_courses(database: str, teachers: Sequence[str], each: int) -> None:
    """Drafts."""
    course = (
        "INSERT INTO courses (id, teacher_id, title, description, price_amount, currency, status, downloads_allowed)"
        " SELECT %s, id, %s, 'What it is about. ' || repeat('word ', 100), 10000, 'EGP', 'draft', false"
        " FROM users WHERE username = %s"
    )
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.executemany(course, [(uuid7(), f"Course {n}", name) for name in teachers for n in range(each)])


def sign_in(vps: str, usernames: Sequence[str]) -> list[dict[str, str]]:
    """The headers of each; one who is told to come back later does."""
    headers = []
    with httpx.Client(base_url=vps, timeout=PATIENCE_S, trust_env=False) as http:
        for username in usernames:
            form = {"login": username, "password": PASSWORD}
            while (answer := http.post(LOGIN, json=form, headers=from_elsewhere())).status_code in LATER:
                time.sleep(float(answer.headers["Retry-After"]))
            headers.append({"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"})
    return headers


def logins(vps: str, usernames: Sequence[str], password: str = PASSWORD) -> list[bytes]:
    """Requests, each from an address of its own."""
    return [
        request(f"{vps}{LOGIN}", from_elsewhere(), "POST", {"login": username, "password": password})
        for username in usernames
    ]


@contextmanager
def vps_beside(rig: Rig, **settings: str) -> Iterator[str]:
    """The URL of another process of the VPS, on the same database unless `settings` name another."""
    port, log = free_port(), Path(rig.folder / f"vps-{secrets.token_hex(3)}.log")
    url = f"http://127.0.0.1:{port}"
    told = rig.stack.environment() | {"TOPTANK_VPS_PORT": str(port), "TOPTANK_BCRYPT_COST": str(COST)} | settings
    with beside.running([sys.executable, "-P", "-m", BARE_VPS], told, log):
        beside.wait_for(lambda: httpx.get(f"{url}/health/ready", trust_env=False).is_success, log)
        yield url
