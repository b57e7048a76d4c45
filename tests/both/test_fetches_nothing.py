"""No address that a client sends is ever called, whatever field it is in (abuse case 55)."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import httpx
import pytest

from tests.both.people import PASSWORD, done, nobody, portrait
from tests.both.policy import LAST_OF_ALL, TABLES, Rule, rows
from tests.both.tenants import Tenants, make_tenants
from tests.both.toptank import TopTank
from tests.canary import Canary
from tests.clips import Clips
from tests.tus.table import metadata

PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">
<!DOCTYPE x [<!ENTITY y SYSTEM "{url}/entity">]><image xlink:href="{url}/image.png"/><text>&y;</text></svg>"""
CAPTIONS = "WEBVTT\n\nSTYLE\n@import url({url}/style.css);\n\n00:00.000 --> 00:01.000\n<img src={url}/a.png>Play\n"
IN_HEADERS = ("Referer", "Origin", "X-Forwarded-Host", "X-Original-URL", "X-Callback-URL", "Link", "True-Client-IP")
IN_QUERY = ("url", "uri", "image", "callback", "next", "redirect")
NOT_ANY_TEXT = ("format", "pattern", "enum", "const")
"""What the schema of a string has that takes no address."""
OF_ONE_KIND = ("username", "phone", "new_phone", "code", "totp")
"""Fields that take none either, which their schemas do not say."""

Schema = dict[str, Any]
Place = tuple[str | int, ...]
_numbers = count(1)


class Shape:
    """A schema of an OpenAPI document: what fits it, and where in that there may be any text."""

    def __init__(self, schema: Schema, document: Schema) -> None:
        while "$ref" in schema or "anyOf" in schema:
            schema = schema.get("anyOf", [schema])[0]
            if "$ref" in schema:
                schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        self.schema, self.kind = schema, schema.get("type")
        self.parts = {name: Shape(one, document) for name, one in schema.get("properties", {}).items()}
        self.item = Shape(schema["items"], document) if self.kind == "array" else None

    def valid(self, name: str = "") -> Any:
        """What the field `name` may say; whoever registers is somebody else each time."""
        if self.parts:
            return {name: part.valid(name) for name, part in self.parts.items()}
        if self.item:
            return [self.item.valid(name)]
        number = next(_numbers)
        known = {
            **{"username": f"guest{number}", "email": f"guest{number}@example.com", "phone": f"+2012{number:08}"},
            **{"new_email": f"new{number}@example.com", "password": PASSWORD, "new_password": f"{PASSWORD} again"},
            **{"currency": "EGP"},
        }
        by_kind = {"integer": 1, "number": 1.5, "boolean": True}
        one_of = [*self.schema.get("examples", ()), *self.schema.get("enum", ())]
        if self.kind == "string" and name in known:
            return known[name]
        return [*one_of, self.schema.get("const", by_kind.get(self.kind or "", "Some words"))][0]

    def texts(self) -> Iterator[Place]:
        if self.kind == "string" and not any(word in self.schema for word in NOT_ANY_TEXT):
            yield ()
        if self.item:
            yield from ((0, *place) for place in self.item.texts())
        for name, part in self.parts.items():
            if name not in OF_ONE_KIND:
                yield from ((name, *place) for place in part.texts())


def put(body: Any, place: Place, said: str) -> Any:
    """The same body, but for what it says there."""
    if not place:
        return said
    changed = body.copy()
    changed[place[0]] = put(body[place[0]], place[1:], said)
    return changed


def valid(rule: Rule, operation: Schema, document: Schema) -> tuple[Rule, list[Place]]:
    """With a body as the route wants it, and where in that there may be any text."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if not content:
        return rule, []
    shape = Shape(content["schema"], document)
    return replace(rule, json=shape.valid() | dict(rule.json or {})), list(shape.texts())


def attempts(service: str, route: str, document: Schema, url: str) -> Iterator[Rule]:
    """Requests that are as they should be, each with the address in one place."""
    plain = TABLES[service][route]
    method, _, path = route.partition(" #")[0].partition(" ")
    operation = document["paths"][path][method.lower()]
    for place in valid(plain, operation, document)[1]:
        rule, _ = valid(plain, operation, document)
        yield replace(rule, json=put(rule.json, place, url))
    rule, _ = valid(plain, operation, document)
    for parameter in operation.get("parameters", []):
        name, takes_text = parameter["name"], [*Shape(parameter["schema"], document).texts()] == [()]
        if name == "cursor" or (name == "title" and name not in rule.query):
            continue  # which is made by the service; which a practice video has, and what goes into a lesson has not
        if parameter["in"] == "query" and takes_text:
            yield replace(rule, query={**rule.query, name: url})
        elif parameter["in"] == "header" and takes_text and name not in rule.headers:
            yield replace(rule, headers={**rule.headers, name: url})
    if "Upload-Metadata" in rule.headers:
        named = f"{rule.headers['Upload-Metadata']},{metadata(filename=url)}"
        for said in (named, metadata(kind="practice", title=url)) if "#practice" in route else (named,):
            yield replace(rule, headers={**rule.headers, "Upload-Metadata": said})


def is_understood(answer: httpx.Response) -> bool:
    """Whatever became of it, what was sent was what is asked for."""
    return answer.status_code != 422 or bool(answer.json()["code"] != "validation_failed")


def let_in(service: str) -> Iterator[tuple[str, str]]:
    """The service's routes, each with somebody whom it is for."""
    for one, route in rows():
        outcomes = TABLES[one][route].by_actor()
        actors = [actor for actor in ("buyer", "owner", "admin") if outcomes[actor] == "ok"]
        if one == service and (one, route) not in LAST_OF_ALL and actors:
            yield route, actors[0]


@pytest.fixture(scope="module")
def tenants(toptank: TopTank, clips: Clips) -> Tenants:
    toptank.simulator.start()
    return make_tenants(toptank, clips)


@pytest.mark.parametrize(("service", "fields"), [("vps", 30), ("cloud", 5)])
def test_no_address_in_a_request_is_called(toptank: TopTank, tenants: Tenants, service: str, fields: int) -> None:
    document = done(toptank.http.get(f"{getattr(toptank, service).url}/openapi.json"))
    tried = 0
    with Canary() as canary:
        for route, actor in let_in(service):
            for rule in attempts(service, route, document, f"{canary.url}/x"):
                tenants.sign_in_again(actor)
                answer = tenants.send(service, route, rule, actor)
                assert is_understood(answer), (route, rule, answer.text)
                tried += 1
        assert canary.heard == []
    assert tried >= fields  # fields that take any text: where there are none, nothing was shown


@pytest.mark.parametrize("service", TABLES)
def test_nor_is_one_in_a_header_or_a_parameter_that_nobody_asks_for(
    toptank: TopTank, tenants: Tenants, service: str
) -> None:
    document = done(toptank.http.get(f"{getattr(toptank, service).url}/openapi.json"))
    with Canary() as canary:
        for route, actor in let_in(service):
            method, _, path = route.partition(" #")[0].partition(" ")
            rule, _ = valid(TABLES[service][route], document["paths"][path][method.lower()], document)
            tenants.sign_in_again(actor)
            headers = {**rule.headers, **dict.fromkeys(IN_HEADERS, canary.url)}
            tenants.send(service, route, replace(rule, headers=headers), actor)
            query = {**rule.query, **dict.fromkeys(IN_QUERY, canary.url)}
            tenants.send(service, route, replace(rule, query=query), actor)
        assert canary.heard == []


def test_nor_is_one_in_a_file(toptank: TopTank, tenants: Tenants) -> None:
    """A picture's, captions', a playlist's. What processing makes of a playlist is tested with the hostile films."""
    owner = tenants.people["owner"]
    with Canary() as canary:
        form = {"name": canary.url, "username": "ali.of.the.canary", "password": PASSWORD, "phone": "+201234567890"}
        drawn = PICTURE.format(url=canary.url).encode()
        for image, status in ((drawn, 422), (portrait(), 201)):
            answer = nobody(toptank).vps.post("/auth/register/teacher", data=form, files={"image": image})
            assert answer.status_code == status
        film = tenants.ids["video_id"]
        captions = CAPTIONS.format(url=canary.url).encode()
        done(owner.cloud.put(f"/videos/{film}/captions/en", content=captions))
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{canary.url}/a.ts\n#EXT-X-ENDLIST\n".encode()
        assert owner.cloud.post("/videos?kind=practice&title=x", content=playlist).status_code == 415
        assert canary.heard == []


def test_the_canary_hears_who_calls_it(toptank: TopTank) -> None:
    with Canary() as canary:
        assert toptank.http.get(f"{canary.url}/x").status_code == 204
        assert canary.heard
