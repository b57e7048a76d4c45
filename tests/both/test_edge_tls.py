"""Caddy told https:// for both hosts: it gets certificates by itself, and films and uploads go through TLS."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.both.edges import BEHIND_AN_EDGE, Edge, caddy_with_tls
from tests.both.people import Person, done, draft_course
from tests.both.toptank import TopTank, eventually
from tests.clips import Clips

SETTINGS = BEHIND_AN_EDGE
STARTED_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def edge(toptank: TopTank) -> Iterator[Edge]:
    with caddy_with_tls(toptank) as edge:
        yield edge


def root_of(edge: Edge) -> Path:
    """The certificate of the authority that Caddy made, as for every name that no public one would vouch for."""
    return edge.folder / "caddy-data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"


def answers(http: httpx.Client, url: str) -> bool:
    try:
        return http.get(url).status_code == 204
    except httpx.ConnectError:
        return False


@pytest.fixture
def through(edge: Edge, teacher: Person) -> Iterator[Person]:
    """The teacher, who trusts that authority alone."""
    eventually(root_of(edge).exists, STARTED_WITHIN_S)
    with httpx.Client(verify=ssl.create_default_context(cafile=str(root_of(edge))), trust_env=False) as http:
        for base in (edge.vps, edge.cloud):
            eventually(partial(answers, http, f"{base}/health/edge"), STARTED_WITHIN_S)
        person = edge.person(teacher)
        yield replace(person, vps=replace(person.vps, http=http), cloud=replace(person.cloud, http=http))


def test_a_film_is_uploaded_and_played_through_tls(
    edge: Edge, toptank: TopTank, teacher: Person, through: Person, clips: Clips
) -> None:
    assert urlsplit(edge.vps).scheme == urlsplit(edge.cloud).scheme == "https"
    course = draft_course(toptank, teacher)
    video = done(through.upload(course.lesson_id, clips.film), 201)
    (link,) = done(through.cloud.post(f"/videos/{video['id']}/playback"), 201)["mp4"]
    answer = through.cloud.http.get(edge.at(link["url"]), headers={"Range": "bytes=100-1099"})
    assert (answer.status_code, answer.content) == (206, clips.film[100:1100])
    assert "x-accel-redirect" not in answer.headers
    assert done(through.vps.get(f"/courses/{course.id}"))["id"] == course.id


def test_what_is_not_for_clients_stays_inside_with_tls_too(edge: Edge, through: Person) -> None:
    for base in (edge.vps, edge.cloud):
        for path in ("/internal/access", "/metrics"):
            assert through.vps.http.get(f"{base}{path}").status_code == 404
