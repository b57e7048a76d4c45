"""What opens nothing: tokens of links that were forged, cut, spliced, or belong elsewhere, and those that are over."""

import shutil
import sqlite3
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from secrets import token_bytes
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from cloud_service.playback.tokens import LAYOUT, Claims, Secret, of_node, sign
from tests.both.people import Course, Person, done, enroll, make_student, published_course
from tests.both.playing import Link, begin, code_of, link_in, link_of
from tests.both.toptank import Node, TopTank, eventually
from tests.clips import Clips
from tests.settings import NOBODY_LISTENS

NODES = 2
OUTDATED, UNKNOWN = (410, "playback_expired"), (404, "playback_not_found")
FIELDS = {
    "key number": (range(4), OUTDATED),  # it could be that of an earlier key
    "video": (range(4, 20), UNKNOWN),
    "playback": (range(20, 36), UNKNOWN),
    "end": (range(36, 40), UNKNOWN),
    "mac": (range(40, 72), UNKNOWN),
}
HOUR_S = 3600


@dataclass(frozen=True)
class Scene:
    """A course with two films on the first node, one on the second, and a student who may watch them."""

    toptank: TopTank
    course: Course
    film: str
    other: str
    elsewhere: str
    student: Person

    @property
    def nodes(self) -> list[Node]:
        return self.toptank.nodes

    def link(self, film: str | None = None, who: Person | None = None) -> Link:
        return link_of(self.toptank, who or self.student, film or self.film)

    def newcomer(self) -> Person:
        student = make_student(self.toptank)
        enroll(student, self.course)
        return student


@pytest.fixture(scope="module")
def scene(toptank: TopTank, teacher: Person, clips: Clips) -> Scene:
    """No worker runs: the films play as they were uploaded."""
    course, film = published_course(toptank, teacher, clips.film)
    other = done(teacher.upload(course.add_lesson(), clips.film), 201)["id"]
    elsewhere = done(teacher.at(toptank.nodes[1]).upload(course.add_lesson(), clips.film), 201)["id"]
    eventually(lambda: course.video_ids() == [film, other, elsewhere])
    student = make_student(toptank)
    enroll(student, course)
    return Scene(toptank, course, film, other, elsewhere, student)


def encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode()


def opens(link: Link) -> bool:
    return link.follow().status == 200


# --- forged ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", FIELDS)
def test_a_token_is_none_with_any_byte_of_it_changed(scene: Scene, field: str) -> None:
    link, (places, refusal) = scene.link(), FIELDS[field]
    right = urlsafe_b64decode(link.token)
    assert len(right) == 72
    for place in places:
        for change in (0x01, 0x80, 0xFF):
            forged = bytearray(right)
            forged[place] ^= change
            link.with_token(encoded(bytes(forged))).check_refused(*refusal)
    assert opens(link)


def test_a_token_is_none_when_it_is_cut_or_lengthened(scene: Scene) -> None:
    link = scene.link()
    cut = [link.token[:length] for length in (0, 1, 4, 53, 54, 92, 94, 95)] + [link.token[1:], link.token[4:]]
    longer = [link.token + more for more in ("A", "AAAA", "=", "====", link.token, "A" * 20_000)] + ["A" + link.token]
    for token in (*cut, *longer):
        link.with_token(token).check_refused(*UNKNOWN)
    assert opens(link)


def test_a_token_is_none_in_another_alphabet_or_with_something_between(scene: Scene) -> None:
    link = scene.link()
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in link.token)  # as East Asian typing has letters
    for token in (link.token.swapcase(), link.token[::-1], "A" * 96, "_" * 96):  # key numbers that are not live
        link.with_token(token).check_refused(*OUTDATED)
    rewritten = [wide, link.token[:-1] + "\u0131"]
    rewritten += [urlsafe_b64decode(link.token).hex(), link.token.rstrip("=")[:-4] + "===="]
    for place in (0, 48, 95):
        rewritten += [link.token[:place] + one + link.token[place:] for one in (" ", "\n", "\0", "=", "-", ".", ";")]
        rewritten += [link.token[:place] + one + link.token[place + 1 :] for one in ("+", "/", "!", "\u00e9", "\0")]
    for token in rewritten:
        link.with_token(quote(token, safe="")).check_refused(*UNKNOWN)
    assert opens(link)


def test_a_token_is_sent_as_it_was_given_or_is_none(scene: Scene) -> None:
    """There is one way to write an address, so nobody before the node takes it for another."""
    link = scene.link()
    once = "".join(f"%{ord(letter):02x}" for letter in link.token)
    for token in (once, once.replace("%", "%25"), once[:3] + link.token[1:], link.token[:-1] + once[-3:]):
        link.with_token(token).check_refused(*UNKNOWN)
    assert opens(link)


def test_parts_of_right_tokens_make_no_right_one(scene: Scene) -> None:
    """Of another film, of another person, of another time."""
    other = scene.newcomer()
    links = [scene.link(), scene.link(scene.other), scene.link(who=other)]
    raws = [urlsafe_b64decode(link.token) for link in links]
    for mine in raws:
        for theirs in raws:
            for start, stop in ((4, 20), (20, 36), (4, 36), (40, 72), (4, 72), (0, 40)):
                spliced = mine[:start] + theirs[start:stop] + mine[stop:]
                if spliced not in raws:
                    links[0].with_token(encoded(spliced)).check_refused(*UNKNOWN)
    assert all(map(opens, links))


# --- right by the node's own secret, as only who has read its database could sign -------------------------------


def secrets_of(node: Node) -> list[Secret]:
    rows = node.sql("SELECT number, value, made_at FROM playback_secrets ORDER BY number DESC")
    return [Secret(number, of_node(value, node.id), made_at) for number, value, made_at in rows]


def claims_of(link: Link) -> Claims:
    _, video, playback, ends_at = LAYOUT.unpack(urlsafe_b64decode(link.token)[: LAYOUT.size])
    return Claims(str(UUID(bytes=video)), str(UUID(bytes=playback)), ends_at)


def test_a_right_signature_opens_nothing_without_its_playback_nor_after_its_end(scene: Scene) -> None:
    link, (secret, *_) = scene.link(), secrets_of(scene.nodes[0])
    right = claims_of(link)
    assert sign(secret, right) == link.token
    wrong = {
        "of a playback that never was": right._replace(playback_id=str(uuid4())),
        "of another film": right._replace(video_id=scene.other),
        "of no film": right._replace(video_id=str(uuid4())),
        "that has ended": right._replace(ends_at=right.ends_at - 12 * HOUR_S - 60),
        "that ended at the beginning of time": right._replace(ends_at=0),
    }
    for what, claims in wrong.items():
        answer = link.with_token(sign(secret, claims)).follow()
        assert (answer.status, code_of(answer)) == OUTDATED, what
    assert opens(link)


def test_a_secret_that_somebody_else_made_signs_nothing(scene: Scene) -> None:
    link, (secret, *_) = scene.link(), secrets_of(scene.nodes[0])
    for value in (token_bytes(32), b"", bytes(32), of_node(secret.value, scene.nodes[0].id)):
        forged = Secret(secret.number, value, secret.made_at)
        link.with_token(sign(forged, claims_of(link))).check_refused(*UNKNOWN)


# --- of another node ----------------------------------------------------------------------------------------------


def test_a_token_is_none_at_another_node(scene: Scene) -> None:
    first, second = scene.nodes
    here = scene.link()
    there = link_in(begin(scene.toptank, scene.newcomer().at(second), scene.elsewhere))
    for link, other in ((here, second), (there, first)):
        answer = link.at(other.url).follow()
        assert (answer.status, code_of(answer)) in (OUTDATED, UNKNOWN)
    assert opens(here)
    assert opens(there)


@contextmanager
def disguised(node: Node, as_other: Node) -> Iterator[None]:
    """Inside, one node runs on a copy of everything that the other one has, and cannot ask anybody."""
    away = node.folder.with_name("away")
    node.stop()
    node.folder.rename(away)
    try:
        shutil.copytree(as_other.folder / "media", node.folder / "media")
        with closing(sqlite3.connect(as_other.database)) as own, closing(sqlite3.connect(node.database)) as copy:
            own.backup(copy)
        node.start(TOPTANK_VPS_INTERNAL_URL=NOBODY_LISTENS)
        yield
    finally:
        node.stop()
        shutil.rmtree(node.folder, ignore_errors=True)
        away.rename(node.folder)
        node.start()


def test_a_copy_of_a_nodes_disk_is_of_no_use_under_another_name(scene: Scene) -> None:
    link = scene.link()
    first, second = scene.nodes
    with disguised(second, as_other=first):
        assert second.sql("SELECT 1 FROM playbacks") != []
        link.at(second.url).check_refused(*UNKNOWN)
    assert opens(link)


# --- over ---------------------------------------------------------------------------------------------------------

AGES: dict[str, tuple[float, float | None, bool]] = {
    "opened never, and there is time": (500, None, True),
    "opened never, and it is too late": (700, None, False),
    "used an hour ago, nearly": (2 * HOUR_S, HOUR_S - 120, True),
    "not used for more than an hour": (2 * HOUR_S, HOUR_S + 60, False),
    "used for nearly twelve hours": (12 * HOUR_S - 300, 5, True),
    "used for more than twelve hours": (12 * HOUR_S + 60, 5, False),
}
"""Began and was used so many seconds ago, and is live or not."""


def test_links_end_when_they_are_not_opened_not_used_or_old(scene: Scene) -> None:
    """As its rows say it when a node begins anew, which is how a test lets time pass."""
    cloud = scene.toptank.cloud
    links = {what: scene.link(who=scene.newcomer()) for what in AGES}
    cloud.stop()
    for what, (began_ago_s, used_ago_s, _) in AGES.items():
        age = "UPDATE playbacks SET began_at = began_at - ?, used_at = began_at - ? + ? WHERE id = ?"
        left_s = None if used_ago_s is None else began_ago_s - used_ago_s
        cloud.sql(age, began_ago_s, began_ago_s, left_s, claims_of(links[what]).playback_id)
    cloud.start()
    for what, (_, _, is_live) in AGES.items():
        answer = links[what].follow()
        assert (answer.status, code_of(answer)) == ((200, None) if is_live else OUTDATED), what
    for what, (_, _, is_live) in AGES.items():
        assert opens(links[what]) == is_live  # neither being refused nor being used changes that


def test_both_live_secrets_hold_and_an_earlier_one_does_not(scene: Scene) -> None:
    cloud = scene.toptank.cloud
    links = [scene.link(who=scene.newcomer())]
    for _ in range(2):
        cloud.stop()
        cloud.sql("UPDATE playback_secrets SET made_at = made_at - ?", 13 * HOUR_S)
        cloud.start()
        assert len(secrets_of(cloud)) == 2
        links.append(scene.link(who=scene.newcomer()))
    links[0].check_refused(*OUTDATED)
    assert opens(links[1])
    assert opens(links[2])
    assert len({urlsafe_b64decode(link.token)[:4] for link in links}) == 3


def test_links_hold_over_a_kill_and_a_restart(scene: Scene) -> None:
    used, unused = (scene.link(who=scene.newcomer()) for _ in range(2))
    assert opens(used)
    for end in (scene.toptank.cloud.kill, scene.toptank.cloud.stop):
        end()
        scene.toptank.cloud.start()
        assert opens(used)
    assert opens(unused)
