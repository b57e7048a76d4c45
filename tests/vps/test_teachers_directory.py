"""The teachers' directory, a teacher's page, and whom one follows."""

from typing import Any

import pytest

from tests.vps.people import (
    Person,
    done,
    make_admin,
    make_student,
    make_teacher,
    make_verified_student,
    refused,
    verify_teacher,
)
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio


async def listed(asker: Any, path: str, **asked: Any) -> list[str]:
    """Usernames, in the order listed, of all pages."""
    found: list[str] = []
    while True:
        page = done(await asker.get(path, params=asked))
        found += [item["username"] for item in page["items"]]
        if page["next"] is None:
            return found
        asked["cursor"] = page["next"]


async def names(vps: Vps, **asked: Any) -> list[str]:
    return await listed(vps.http, "/api/teachers", **asked)


async def followed(follower: Person, **asked: Any) -> list[str]:
    return await listed(follower, "/api/users/me/following", **asked)


async def teachers(vps: Vps, *usernames: str) -> list[Person]:
    return [await make_teacher(vps, username) for username in usernames]


async def follow(follower: Person, *usernames: str) -> None:
    for username in usernames:
        done(await follower.put(f"/api/teachers/{username}/follow"))


async def test_teachers_are_listed_by_followers_page_by_page(vps: Vps) -> None:
    await teachers(vps, "omar", "huda", "lina", "zain", "nour")
    sara, ali = await make_verified_student(vps), await make_verified_student(vps, "ali")
    await follow(sara, "huda", "zain")
    await follow(ali, "zain")
    everybody = ["zain", "huda", "nour", "lina", "omar"]  # the youngest first among equals
    for limit in (1, 2, 3, 5, 100):
        assert await names(vps, limit=limit) == everybody


async def test_a_teacher_is_listed_with_what_everybody_may_see(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_verified_student(vps)
    done(await teacher.patch("/api/users/me", {"bio": "Oud since 1990.", "instruments": ["oud"]}))
    await verify_teacher(vps, teacher)
    await follow(student, "omar")
    expected = {
        **{"username": "omar", "full_name": "Omar", "role": "teacher", "image": teacher.user["image"]},
        **{"bio": "Oud since 1990.", "instruments": ["oud"], "experience_level": None},
        **{"created_at": teacher.user["created_at"], "followers": 1, "verified": True},
    }
    assert done(await vps.http.get("/api/teachers"))["items"] == [expected]
    assert done(await vps.http.get("/api/teachers/OMAR")) == expected | {"following": None}
    assert done(await teacher.get("/api/teachers/omar")) == expected | {"following": False}
    assert done(await student.get("/api/teachers/omar")) == expected | {"following": True}
    (shown,) = done(await student.get("/api/users/me/following"))["items"]
    assert shown.pop("followed_at") > teacher.user["created_at"]
    assert shown == expected


async def test_students_admins_and_banned_teachers_are_not_listed(vps: Vps) -> None:
    admin, (omar, huda) = await make_admin(vps), await teachers(vps, "omar", "huda")
    await make_student(vps)
    done(await admin.post(f"/api/admin/users/{omar.id}/ban"))
    assert await names(vps) == ["huda"]
    done(await admin.put(f"/api/admin/users/{huda.id}/role", {"role": "student"}))
    assert await names(vps) == []
    for username in ("sara", "omar", "huda", "root-admin", "nobody"):
        refused(await vps.http.get(f"/api/teachers/{username}"), 404, "teacher_not_found")


async def named(vps: Vps, username: str, full_name: str) -> None:
    teacher = await make_teacher(vps, username)
    done(await teacher.patch("/api/users/me", {"full_name": full_name}))


async def test_teachers_are_found_by_part_of_a_name_or_a_username(vps: Vps) -> None:
    await named(vps, "mona.darwish", "Mona Darwish")
    await named(vps, "ziad", "زياد رحباني")
    await named(vps, "emile", "Émile ŞAHİN")
    for q, found in {
        "mona": ["mona.darwish"],
        "ONA DAR": ["mona.darwish"],
        "a.dar": ["mona.darwish"],
        "رحبا": ["ziad"],
        "Émile": ["emile"],
        "sara": [],
        "": ["emile", "ziad", "mona.darwish"],
    }.items():
        assert await names(vps, q=q, limit=2) == found, q


async def test_one_or_two_letters_find_whose_name_or_username_begins_with_them(vps: Vps) -> None:
    """Or a word of it: of so few letters no index knows where else they are."""
    await named(vps, "mona.darwish", "Mona Darwish")
    await named(vps, "m.ziad", "زياد رحباني")
    await named(vps, "emile", "Émile ŞAHİN")
    for q, found in {
        "M": ["m.ziad", "mona.darwish"],
        "da": ["mona.darwish"],
        "ar": [],
        "رح": ["m.ziad"],
        "é": ["emile"],
        "ş": ["emile"],
        "M.z": ["m.ziad"],
        " d": [],
    }.items():
        assert await names(vps, q=q, limit=1) == found, q


async def test_capitals_are_found_by_small_letters_and_the_other_way_in_every_alphabet(vps: Vps) -> None:
    for number, name in enumerate(("ÉMILE ŞAHİN", "émile şahin", "ЖУКОВА", "жукова", "Ζωή", "ΖΩΉ", "Łódź", "ŁÓDŹ")):
        await named(vps, f"teacher{number}", name)
    await named(vps, "ziad", "زياد رحباني")
    for words, found in {
        ("ÉMILE", "émile", "Şahin", "şahin", "ŞAHİN", "éM", "Ş"): ["teacher1", "teacher0"],
        ("ЖУКОВА", "жуко", "Жу", "ж"): ["teacher3", "teacher2"],
        ("Ζωή", "ΖΩΉ", "ζω"): ["teacher5", "teacher4"],
        ("łódź", "ŁÓD", "łÓ"): ["teacher7", "teacher6"],
        ("زياد", "رحباني", "رح"): ["ziad"],
    }.items():
        for q in words:
            assert await names(vps, q=q) == found, q


async def test_percent_underscore_and_backslash_are_letters_like_any_other(vps: Vps) -> None:
    for number, name in enumerate(("100% oud", "under_score", "back\\slash", "plain")):
        await named(vps, f"teacher{number}", name)
    for q, found in {
        "%": ["teacher0"],
        "_": ["teacher1"],
        "\\": ["teacher2"],
        "100% O": ["teacher0"],
        "er_s": [],
        "der_s": ["teacher1"],
        "ack\\s": ["teacher2"],
        "p": ["teacher3"],
        "p%n": [],
        "p_ain": [],
        "\\%": [],
        "%%": [],
        "%' OR true --": [],
    }.items():
        assert await names(vps, q=q) == found, q


async def test_a_search_by_name_has_an_index_where_the_server_offers_one(vps: Vps) -> None:
    offered = await vps.rows("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'")
    made = await vps.rows("SELECT 1 FROM pg_indexes WHERE indexname = 'ix_users_teachers_by_name'")
    assert len(offered) == len(made)


async def test_whom_one_follows_is_listed_the_last_one_first(vps: Vps) -> None:
    admin, (omar, *_), sara = (
        await make_admin(vps),
        await teachers(vps, "omar", "huda", "lina"),
        await make_student(vps),
    )
    await follow(sara, "huda", "omar", "lina")
    assert await followed(sara, limit=2) == ["lina", "omar", "huda"]
    assert await followed(omar) == []
    done(await sara.delete("/api/teachers/lina/follow"))
    done(await admin.post(f"/api/admin/users/{omar.id}/ban"))
    assert await followed(sara) == ["huda"]


async def test_a_banned_teacher_can_still_be_left(vps: Vps) -> None:
    admin, omar, sara = await make_admin(vps), await make_teacher(vps), await make_verified_student(vps)
    await follow(sara, "omar")
    done(await admin.post(f"/api/admin/users/{omar.id}/ban"))
    assert done(await sara.delete("/api/teachers/omar/follow"))["followers"] == 0


CURSORS = ["x", "\0", "é", "A" * 22, "A" * 32, "_" * 32, "f" + "_" * 31, "A" * 63, "'; DROP TABLE users; --"]


async def test_a_cursor_of_nowhere_is_refused_or_leads_nowhere(vps: Vps) -> None:
    sara = await make_student(vps)
    for path in ("/api/teachers", "/api/users/me/following"):
        for cursor in CURSORS:
            answer = await sara.get(path, params={"cursor": cursor})
            assert answer.status_code in (200, 422), (path, cursor, answer.text)
        refused(await sara.get(path, params={"cursor": "_" * 32}), 422, "validation_failed")
