"""No address that a client sends is ever called, whatever field it is in (abuse case 55)."""

from typing import Any

import pytest

from tests.both.people import PASSWORD, done, nobody
from tests.both.policy import LAST_OF_ALL, TABLES, Rule, rows
from tests.both.tenants import Tenants, make_tenants
from tests.both.toptank import TopTank
from tests.canary import Canary
from tests.clips import Clips

PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">
<!DOCTYPE x [<!ENTITY y SYSTEM "{url}/entity">]><image xlink:href="{url}/image.png"/><text>&y;</text></svg>"""
CAPTIONS = "WEBVTT\n\nSTYLE\n@import url({url}/style.css);\n\n00:00.000 --> 00:01.000\n<img src={url}/a.png>\n"
IN_HEADERS = ("Referer", "Origin", "X-Forwarded-Host", "X-Original-URL", "X-Callback-URL", "Link", "True-Client-IP")


@pytest.fixture(scope="module")
def tenants(toptank: TopTank, clips: Clips) -> Tenants:
    toptank.simulator.start()
    return make_tenants(toptank, clips)


def filled(schema: dict[str, Any], schemas: dict[str, Any], url: str) -> Any:
    """What the schema asks for, with the address wherever a text goes."""
    if "$ref" in schema:
        return filled(schemas[schema["$ref"].rpartition("/")[2]], schemas, url)
    if choices := schema.get("anyOf"):
        return filled(choices[0], schemas, url)
    if "properties" in schema:
        return {name: filled(one, schemas, url) for name, one in schema["properties"].items()}
    if schema.get("type") == "array":
        return [filled(schema["items"], schemas, url)]
    if "enum" in schema or "const" in schema:
        return schema.get("enum", [schema.get("const")])[0]
    return {"integer": 1, "number": 1.5, "boolean": True}.get(schema.get("type", ""), f"{url}/field")


def bodies(document: dict[str, Any], url: str) -> dict[str, Any]:
    """By operation, for those that take JSON."""
    found = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content:
                schemas = document["components"]["schemas"]
                found[f"{method.upper()} {path}"] = filled(content["schema"], schemas, url)
    return found


@pytest.mark.parametrize("service", TABLES)
def test_no_address_in_a_request_is_called(toptank: TopTank, tenants: Tenants, service: str) -> None:
    document = done(toptank.http.get(f"{getattr(toptank, service).url}/openapi.json"))
    with Canary() as canary:
        wanted = bodies(document, canary.url)
        headers = dict.fromkeys(IN_HEADERS, f"{canary.url}/header")
        for one, route in rows():
            if one != service or (one, route) in LAST_OF_ALL:
                continue
            plain, rule = route.partition(" #")[0], TABLES[service][route]
            query = dict.fromkeys(("url", "uri", "image", "callback", "next", "redirect", "q"), f"{canary.url}/query")
            tried = Rule(rule.gets, wanted.get(plain, rule.json), dict(rule.query) | query, {**rule.headers, **headers})
            for actor in ("buyer", "owner", "admin"):
                tenants.sign_in_again(actor)
                tenants.send(service, route, tried, actor)
        assert canary.heard == []


def test_nor_is_one_in_a_file(toptank: TopTank, tenants: Tenants) -> None:
    """A picture's, captions', a playlist's. What processing makes of a playlist is tested with the hostile films."""
    owner = tenants.people["owner"]
    with Canary() as canary:
        form = {"name": "Ali", "username": "ali.of.the.canary", "password": PASSWORD, "phone": "+201234567890"}
        image = {"image": PICTURE.format(url=canary.url).encode()}
        answer = nobody(toptank).vps.post("/auth/register/teacher", data=form, files=image)
        assert answer.status_code == 422
        film = tenants.ids["video_id"]
        owner.cloud.put(f"/videos/{film}/captions/en", content=CAPTIONS.format(url=canary.url).encode())
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{canary.url}/a.ts\n#EXT-X-ENDLIST\n".encode()
        assert owner.cloud.post("/videos?kind=practice&title=x", content=playlist).status_code == 415
        assert canary.heard == []


def test_the_canary_hears_who_calls_it(toptank: TopTank) -> None:
    with Canary() as canary:
        assert toptank.http.get(f"{canary.url}/x").status_code == 204
        assert canary.heard
