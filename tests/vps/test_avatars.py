"""Profile pictures that are changed: the new one is shown, the old one is gone, and nothing is left over."""

import asyncio
import dataclasses
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.vps.people import Person, done, make_admin, make_student, make_teacher, picture, refused
from tests.vps.running import ORIGIN, Vps
from tests.vps.test_images import NOT_IMAGES
from tests.vps.waiting import comes_true
from vps_service.accounts.images import ImageStore
from vps_service.profiles.actions import remove_stray_images
from vps_service.profiles.routes import AVATARS_AN_HOUR

pytestmark = [pytest.mark.anyio, pytest.mark.settings(vps_url=ORIGIN)]

AVATAR = "/api/users/me/avatar"


async def change(person: Person, image: bytes, **more: Any) -> httpx.Response:
    return await person.send("PUT", AVATAR, files={"image": ("me.png", image)}, **more)


def stored(vps: Vps) -> list[Path]:
    return sorted((vps.settings.data_dir / "images").iterdir())


async def test_a_student_gets_a_picture_in_two_sizes(vps: Vps) -> None:
    student = await make_student(vps)
    image = done(await change(student, picture(640, 480)))["image"]
    for size in ("square", "thumbnail"):
        assert (await vps.http.get(image[size])).headers["content-type"] == "image/webp"
    assert done(await vps.http.get("/api/users/sara"))["image"] == image
    assert done(await student.get("/api/auth/me"))["image"] == image


async def test_a_picture_is_on_the_disk_with_its_name_before_anybody_has_it(
    vps: Vps, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, sync = list[tuple[str, int]](), os.fsync

    def noted(handle: int) -> None:
        synced.append((Path(f"/proc/self/fd/{handle}").readlink().name, os.fstat(handle).st_size))
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    done(await change(await make_student(vps), picture()))
    *files, (folder, _) = synced
    assert files == [(path.name, path.stat().st_size) for path in stored(vps)]
    assert folder == "images"


async def test_the_picture_before_is_removed(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    before = teacher.user["image"]
    after = done(await change(teacher, picture()))["image"]
    assert before != after
    refused(await vps.http.get(before["square"]), 404, "image_not_found")
    refused(await vps.http.get(before["thumbnail"]), 404, "image_not_found")
    assert len(stored(vps)) == 2


async def test_what_is_no_image_leaves_the_picture_as_it_is(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    before = stored(vps)
    for name, raw in NOT_IMAGES.items():
        problem = refused(await change(teacher, raw), 422, "not_an_image")
        assert problem["errors"][0]["field"] == "body.image", name
    assert stored(vps) == before
    assert done(await teacher.get("/api/users/me"))["image"] == teacher.user["image"]


async def test_a_form_without_the_image_or_with_more_is_refused(vps: Vps) -> None:
    student = await make_student(vps)
    refused(await student.send("PUT", AVATAR, files={"avatar": ("me.png", picture())}), 422, "validation_failed")
    refused(await change(student, picture(), data={"role": "admin"}), 422, "validation_failed")
    refused(await student.put(AVATAR, {"image": "https://example.com/me.png"}), 422, "validation_failed")
    assert stored(vps) == []


async def test_of_many_pictures_at_once_one_stays(vps: Vps) -> None:
    student = await make_student(vps)
    answers = await asyncio.gather(*(change(student, picture(40 + n, 40)) for n in range(8)))
    assert len({done(answer)["image"]["square"] for answer in answers}) == 8
    kept = done(await student.get("/api/users/me"))["image"]["square"].split("/")[-2]
    assert [path.name for path in stored(vps)] == [f"{kept}-square.webp", f"{kept}-thumbnail.webp"]


async def test_a_picture_too_large_is_refused_before_it_is_read(vps: Vps) -> None:
    student = await make_student(vps)
    headers = {"Content-Length": str(vps.settings.image_bytes + 10**6), "Content-Type": "multipart/form-data"}

    async def endless() -> Any:
        while True:
            yield b"x" * 65_536

    refused(await student.send("PUT", AVATAR, content=endless(), headers=headers), 413, "too_large")


async def test_pictures_are_changed_so_often_and_no_more(vps: Vps) -> None:
    student = await make_student(vps)
    for _ in range(AVATARS_AN_HOUR):
        refused(await change(student, b"no image"), 422, "not_an_image")
    refused(await change(student, picture()), 429, "too_many_requests")


async def test_of_many_pictures_at_once_those_that_would_wait_too_long_are_refused(vps: Vps) -> None:
    students = [await make_student(vps, f"sara{number}") for number in range(4)]
    images = ImageStore(vps.settings.data_dir / "images", waiting=1)
    vps.app.state.vps = dataclasses.replace(vps.app.state.vps, images=images)
    async with images._gate:  # none is decoded before all who have no place were told
        asked = [asyncio.ensure_future(change(student, picture())) for student in students]

        async def two_are_answered() -> bool:
            return sum(one.done() for one in asked) == 2

        await comes_true(two_are_answered)
        crowded = [await one for one in asked if one.done()]
    for answer in crowded:
        refused(answer, 503, "too_many_images")
        assert int(answer.headers["retry-after"]) > 0
    assert sorted(answer.status_code for answer in await asyncio.gather(*asked)) == [200, 200, 503, 503]
    done(await change(students[0], picture()))


async def test_admins_may_have_a_picture_too(vps: Vps) -> None:
    assert done(await change(await make_admin(vps), picture()))["image"]


async def test_pictures_that_a_crash_left_are_removed_and_no_others(vps: Vps) -> None:
    await make_teacher(vps)
    folder, images = vps.settings.data_dir / "images", vps.app.state.vps.images
    kept = [*stored(vps), folder / "not-ours.webp"]
    strays = [folder / f"{uuid4()}-{size}.webp" for size in ("square", "thumbnail")]
    for path in [*strays, folder / "not-ours.webp"]:
        path.write_bytes(b"")
    # What is young may be about to be somebody's.
    assert await remove_stray_images(vps.sessions, images, timedelta(hours=1)) == 0
    yesterday = time.time() - 86_400
    for path in stored(vps):
        os.utime(path, (yesterday, yesterday))
    assert await remove_stray_images(vps.sessions, images, timedelta(hours=1)) == 2
    assert stored(vps) == sorted(kept)
