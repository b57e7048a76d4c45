"""Every operation of both OpenAPI documents, asked as they say and otherwise: no request is answered with a failure of
ours, each answer is one that the document describes, and what does not fit the document is refused.

TOPTANK_TEST_FUZZ_EXAMPLES asks for more (all there is at the edges, and this many made at random of each kind),
TOPTANK_TEST_FUZZ_SEED for others.
"""

import asyncio
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from shared.service_tokens import ServiceSigner
from tests.both.fuzzing import REFUSED, Fuzzed, documented
from tests.both.policy import TABLES, rows
from tests.both.tenants import Tenants, make_tenants
from tests.both.toptank import TopTank
from tests.clips import Clips
from vps_service.migrate import with_database
from vps_service.nodes.operator import add_node
from vps_service.settings import DatabaseSettings
from vps_service.standard_webhooks import signed_headers

EXAMPLES = int(os.environ.get("TOPTANK_TEST_FUZZ_EXAMPLES", "0"))
SEED = os.environ.get("TOPTANK_TEST_FUZZ_SEED")
AT_THE_EDGES = {GenerationMode.POSITIVE: 6, GenerationMode.NEGATIVE: 14}
AT_RANDOM = 4
HOW = settings(
    max_examples=EXAMPLES or AT_RANDOM,
    deadline=None,
    derandomize=SEED is None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
ROUTES = list(dict.fromkeys((name, row.partition(" #")[0]) for name, row in rows()))
"""Those last that take something away."""


@dataclass(frozen=True)
class Scene:
    tenants: Tenants
    documents: dict[str, Any]
    signer: ServiceSigner

    def fuzzed(self, name: str, route: str) -> Fuzzed:
        method, path = route.split()
        return Fuzzed(self.tenants, name, self.documents[name][path][method.lower()], self.signer)


@pytest.fixture(scope="module")
def scene(toptank: TopTank, clips: Clips) -> Scene:
    toptank.simulator.start()
    key = Ed25519PrivateKey.generate()
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    database = DatabaseSettings(database_url=toptank.database_url)
    asyncio.run(with_database(database, lambda sessions: add_node(sessions, "node-9", pem)))
    documents = {name: documented(getattr(toptank, name).url) for name in TABLES}
    return Scene(make_tenants(toptank, clips), documents, ServiceSigner("node-9", key))


def test_every_operation_of_both_documents_is_asked(scene: Scene) -> None:
    """One that is added fails here until it is in the table of `policy`."""
    operations = {
        (name, operation.ok().label)
        for name, document in scene.documents.items()
        for operation in document.get_all_operations()
    }
    assert operations == set(ROUTES)


@pytest.mark.parametrize(("name", "route"), ROUTES)
def test_it_answers_whatever_it_is_asked_as_its_document_says(scene: Scene, name: str, route: str) -> None:
    fuzzed = scene.fuzzed(name, route)
    for mode in GenerationMode:
        cases = fuzzed.at_the_edges(mode)
        ask_at_the_edges(fuzzed, cases if EXAMPLES else some(cases, AT_THE_EDGES[mode]))
        if mode is GenerationMode.POSITIVE:
            ask_oddly(fuzzed, cases)
        if EXAMPLES or mode is GenerationMode.POSITIVE:
            ask_at_random(fuzzed, mode)
    assert fuzzed.statuses - REFUSED, "whoever asked was refused, so nobody looked at what they sent"
    fuzzed.ask_as_the_table()


def test_a_webhook_may_bring_whatever_its_sender_has_signed(scene: Scene) -> None:
    """The document leaves that to the providers."""
    fuzzed = scene.fuzzed("vps", "POST /api/payments/webhooks/{provider}")
    toptank = scene.tenants.toptank
    secret = (toptank.secrets / "simulator_secret").read_text().strip()
    text = st.sampled_from(("", "\0", "\ud800", "../../", "x" * 100_000)) | st.text()
    events = st.fixed_dictionaries({"id": text, "checkout": text | st.none()}, optional={"more": text}).map(json.dumps)

    @settings(HOW, max_examples=EXAMPLES or 30)
    @given(st.binary() | events.map(str.encode))
    @example(b"[" * 100_000)
    def attempt(body: bytes) -> None:
        told = signed_headers(secret, "evt_1", body, time.time())
        fuzzed.tell({"provider": "simulator"}, body, told)

    attempt()
    assert fuzzed.statuses <= {204, 401}


def some(cases: list[Any], at_most: int) -> list[Any]:
    """Spread over them."""
    step = max(1.0, len(cases) / at_most)
    return [cases[int(place * step)] for place in range(min(at_most, len(cases)))]


def ask_at_the_edges(fuzzed: Fuzzed, cases: list[Any]) -> None:
    """By everybody who is let in, in turn, of what is there and of other things; and by nobody."""
    for place, case in enumerate(cases):
        fuzzed.ask(case, fuzzed.ways[place % len(fuzzed.ways)], of_what_is_there=place % 3 != 1)
    for case in cases[:1]:
        fuzzed.ask_as_nobody(case)


def ask_oddly(fuzzed: Fuzzed, fitting: list[Any]) -> None:
    for way in fuzzed.ways if EXAMPLES else fuzzed.ways[:1]:
        for case in fuzzed.oddly(fitting, way):
            fuzzed.ask(case, way, of_what_is_there=False)


def ask_at_random(fuzzed: Fuzzed, mode: GenerationMode) -> None:
    @given(fuzzed.operation.as_strategy(generation_mode=mode), st.sampled_from(fuzzed.ways), st.booleans())
    def attempt(case: Any, way: Any, of_what_is_there: bool) -> None:
        fuzzed.ask(case, way, of_what_is_there=of_what_is_there)

    with suppress(Unsatisfiable):  # whatever is in a path fits a path
        HOW(seed(int(SEED))(attempt) if SEED else attempt)()
