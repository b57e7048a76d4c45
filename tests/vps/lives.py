"""Somebody who has done everything once: who leaves, leaves all of it; who takes theirs along, takes all of it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import Column
from uuid_utils.compat import uuid7

from shared.contract import Event
from shared.playbacks import PlaybackTold
from tests.vps.people import (
    PASSWORD,
    Course,
    Person,
    ask_to_teach,
    buy,
    confirm,
    done,
    make_teacher,
    make_verified_student,
    order,
    picture,
    practice_stored,
    published_course,
    sign_in,
    signed_in,
    store_video,
    teacher_form,
    told,
)
from tests.vps.running import Vps
from vps_service.leaving.actions import finish_leavings
from vps_service.models import Base

MARK = "zubayda"
"""In everything that is only hers, and in nothing else."""
PHONE = "+201055544433"
CODES = (
    "INSERT INTO phone_codes (user_id, phone, code_hash, expires_at) VALUES (:id, :phone, 'x', now())",
    "INSERT INTO recovery_codes (id, user_id, code_hash) VALUES (gen_random_uuid(), :id, 'x')",
)
"""What only the owner of the phone, or of an authenticator, could have the service make."""


@dataclass
class Life:
    """Huda's, who teaches and learns; sara buys from her, and each shows the other how she practises."""

    huda: Person
    omar: Person
    sara: Person
    own: Course
    bought: Course
    course_video: UUID
    practice: UUID
    sales: list[str]


async def a_full_life(vps: Vps) -> Life:
    """Needs the simulator."""
    omar, sara = await make_teacher(vps), await make_verified_student(vps)
    form = teacher_form(MARK, name=f"Huda {MARK}", email=f"{MARK}@example.com", phone=PHONE)
    huda = signed_in(vps, done(await ask_to_teach(vps, form, picture(kind="JPEG")), 201))
    await confirm(vps, huda)
    done(await huda.patch("/api/users/me", {"bio": f"I am {MARK}.", "instruments": ["oud"]}))
    done(await huda.put("/api/teachers/omar/follow"))
    done(await sara.put(f"/api/teachers/{MARK}/follow"))
    own, bought = await published_course(vps, huda), await published_course(vps, omar, title="The ney")
    course_video = await store_video(vps, own)
    sales = [(await buy(sara, own))["payment"]["id"]]
    ordered = done(await order(huda, bought, idempotency_key=f"{MARK}-orders"), 201)
    async with httpx.AsyncClient() as browser:
        await browser.post(f"{ordered['action']['url']}/paid")
    done(await huda.post(f"/api/payments/{ordered['id']}/verify"))
    practice = await practised(vps, huda, title=f"{MARK} plays")
    said = {"description": f"by {MARK}", "piece_name": MARK, "composer": MARK, "practice_goals": MARK}
    done(await huda.patch(f"/api/videos/{practice}", said))
    done(await huda.put(f"/api/videos/{practice}/shares/sara"))
    done(await sara.put(f"/api/videos/{await practised(vps, sara, title='Mine')}/shares/{MARK}"))
    await watched(vps, huda, await store_video(vps, bought))
    await sign_in(vps, MARK)
    done(await huda.post("/api/auth/totp", {"password": PASSWORD}), 201)
    await vps.rows(CODES[0], id=huda.id, phone=PHONE)
    await vps.rows(CODES[1], id=huda.id)
    return Life(huda, omar, sara, own, bought, course_video, practice, sales)


async def practised(vps: Vps, owner: Person, **told_of: Any) -> UUID:
    event = practice_stored(owner, **told_of)
    assert await told(vps.node, event) == "applied"
    return event.about.video_id


async def watched(vps: Vps, viewer: Person, video: UUID) -> None:
    began_at = datetime.now(UTC) - timedelta(minutes=5)
    about = {"playback_id": uuid7(), "video_id": video, "user_id": viewer.id, "began_at": began_at}
    about |= {"ends_at": began_at + timedelta(hours=12), "viewed_at": began_at, "watched": [(0, 10)]}
    assert await told(vps.node, Event(id=uuid7(), about=PlaybackTold.model_validate(about))) == "applied"


# --- leaving --------------------------------------------------------------------------------------------------


async def leave(person: Person, password: str = PASSWORD) -> httpx.Response:
    return await person.send("DELETE", "/api/users/me", json={"password": password})


async def time_is_up(vps: Vps) -> None:
    """For everybody who has asked."""
    await vps.rows("UPDATE leavings SET due_at = now() - interval '1 second'")


async def finish(vps: Vps) -> None:
    """What a VPS does every minute."""
    await finish_leavings(vps.sessions, vps.app.state.vps.images, vps.settings.followers_required)


async def gone_for_good(vps: Vps, person: Person) -> None:
    done(await leave(person), 202)
    await time_is_up(vps)
    await finish(vps)
    assert (await vps.row("SELECT state FROM users WHERE id = :id", id=person.id))["state"] == "deleted"


async def state_of(vps: Vps, person: Person) -> str:
    return str((await vps.row("SELECT state FROM users WHERE id = :id", id=person.id))["state"])


# --- tables that know of users --------------------------------------------------------------------------------

NAMES = ("user_id", "owner_id", "teacher_id", "follower_id", "actor_id")


def columns_that_name_users() -> set[str]:
    """By a foreign key, or by what they are called."""

    def names_users(column: Column[object]) -> bool:
        targets = {f"{key.column.table.name}.{key.column.name}" for key in column.foreign_keys}
        return column.name in NAMES or bool(targets & {"users.id", "teachers.user_id"})

    tables = Base.metadata.sorted_tables
    return {f"{table.name}.{column.name}" for table in tables for column in table.columns if names_users(column)}
