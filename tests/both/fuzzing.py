"""Requests made from what the OpenAPI documents of both services say, as it says and otherwise, and what to make of the
answers to them.

The documents, and everybody who asks, are those of a running TopTank. Its numbers and choices are the same each time.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
import schemathesis
from requests.structures import CaseInsensitiveDict
from schemathesis import APIOperation, Case, CheckFunction, GenerationMode, SerializationContext
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response
from schemathesis.specs.openapi import checks
from schemathesis.transport.serialization import serialize_binary

from shared.contract import VPS as VPS_ID
from shared.problems import MEDIA_TYPE, MethodNotAllowed
from shared.service_tokens import Call, ServiceSigner
from tests.both.policy import ACTORS, LAST_OF_ALL, TABLES, Rule
from tests.both.tenants import NAME, Tenants

NODE = "node"
"""Who calls what is for nodes only."""
WITHIN_S = 30
REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
OF_NO_ROUTE = {"bad_request", "not_found", "method_not_allowed"}
"""What is answered where a path leads elsewhere with what was put into it, or nowhere."""
RIGHTLY = {"storage_full"}
"""Failures that are what was asked for: a disk larger than this one."""
CONFIG = {
    "generation": {"with-security-parameters": False},
    "checks": {"negative_data_rejection": {"expected-statuses": ["4xx", "5xx"]}},
}
OF_HEADS: list[CheckFunction] = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.response_headers_conformance,
]
CHECKS: list[CheckFunction] = [
    *OF_HEADS,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]


AS_DATES = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")
AS_NUMBERS = (2**31, 2**63, 2**64, -(2**63) - 1, 10**30, 1e308)
HALF_A_CHARACTER = "\ud800"
"""JSON can write it, and UTF-8 cannot."""


def odd(value: Any) -> Iterator[Any]:
    """What a document may let pass in place of this, and a database or a clock may not."""
    if isinstance(value, str):
        yield HALF_A_CHARACTER
        with suppress(ValueError):
            datetime.fromisoformat(value)
            yield from AS_DATES
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from AS_NUMBERS
    elif isinstance(value, dict):
        yield {**value, HALF_A_CHARACTER: 1}
        for name, inner in value.items():
            yield from ({**value, name: other} for other in odd(inner))
    elif isinstance(value, list):
        for place, inner in enumerate(value[:2]):
            yield from ([*value[:place], other, *value[place + 1 :]] for other in odd(inner))


@schemathesis.serializer(
    "application/offset+octet-stream", "application/octet-stream", "text/vtt", "application/x-subrip"
)
def as_it_is(_: SerializationContext, value: Any) -> Any:
    return {"data": serialize_binary(value)}


def documented(url: str) -> Any:
    """The OpenAPI document of the service there."""
    return schemathesis.openapi.from_url(f"{url}/openapi.json", config=schemathesis.Config.from_dict(CONFIG))


@dataclass(frozen=True)
class Way:
    """Somebody who gets past the door of a route, and the things they get to: a row of the table of `policy`."""

    actor: str
    row: str
    rule: Rule
    ids: dict[str, str]

    def named(self, values: Any) -> dict[str, Any]:
        """With what the row's names in braces stand for."""
        named: Callable[[str], str] = lambda value: NAME.sub(lambda found: self.ids[found[1]], value)  # noqa: E731
        return {name: named(value) for name, value in values.items()}


@dataclass
class Fuzzed:
    """One operation, and what became of all that was asked of it."""

    tenants: Tenants
    name: str
    operation: APIOperation[Any, Any, Any, Any]
    signer: ServiceSigner
    statuses: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.route = self.operation.label
        self.base = getattr(self.tenants.toptank, self.name).url
        self.session = requests.Session()
        self.session.trust_env = False
        self.ways = list(self._ways())

    def _ways(self) -> Iterator[Way]:
        for row, rule in self.rows():
            ids = self.tenants.ids | self.tenants.instead.get(row.partition(" #")[2], {})
            let_in = [actor for actor, gets in rule.by_actor().items() if gets == "ok"]
            yield from (Way(actor, row, rule, ids) for actor in let_in or [NODE if self.is_for_nodes else ACTORS[0]])

    @property
    def is_for_nodes(self) -> bool:
        return self.operation.path.startswith("/internal/")

    @property
    def takes_away(self) -> bool:
        return (self.name, self.route) in LAST_OF_ALL

    def rows(self) -> list[tuple[str, Rule]]:
        """Of the table, about this route."""
        return [(row, rule) for row, rule in TABLES[self.name].items() if row.partition(" #")[0] == self.route]

    # --- what is asked -------------------------------------------------------------------------------

    def at_the_edges(self, mode: GenerationMode) -> list[Case[Any]]:
        """Least and largest values, each field left out, of another kind, unknown ones."""
        schema = self.operation.schema
        config = schema.config.generation_for(operation=self.operation, phase="coverage")
        return list(schema.iter_coverage_cases(self.operation, generation_modes=[mode], generation_config=config))

    def oddly(self, fitting: list[Case[Any]], way: Way) -> Iterator[Case[Any]]:
        """One that fits, with each part of its body and its query in turn as nobody would think of."""
        whole = max(fitting, key=lambda case: len(str(case)))
        self.fill(whole, way)
        bodies = odd(whole.body) if whole.media_type == "application/json" else ()
        queries = (query for query in odd(whole.query) if HALF_A_CHARACTER not in (*query, *query.values()))
        for part, values in (("body", bodies), ("query", queries)):
            for value in values:
                case = self.operation.Case(
                    path_parameters=whole.path_parameters,
                    headers=whole.headers,
                    query=whole.query,
                    body=whole.body,
                    media_type=whole.media_type,
                )
                setattr(case, part, value)
                yield case

    def fill(self, case: Case[Any], way: Way) -> None:
        """What is there in place of what was made up, as far as the case is not about just that."""
        if self.takes_away:
            return
        if not case.meta or not case.meta.is_negative_at(ParameterLocation.PATH):
            case.path_parameters = {name: way.ids.get(name, value) for name, value in case.path_parameters.items()}
        if case.meta and case.meta.generation.mode.is_positive:
            case.headers = CaseInsensitiveDict({**case.headers, **way.named(way.rule.headers)})
            case.query = {**case.query, **way.named(way.rule.query)}
            if isinstance(case.body, dict):
                case.body = {name: way.ids.get(name, value) for name, value in case.body.items()}

    def ask(self, case: Case[Any], way: Way, *, of_what_is_there: bool) -> None:
        """As somebody who is let in."""
        if of_what_is_there:
            self.fill(case, way)
        self._send(case, way.actor)

    def ask_as_nobody(self, case: Case[Any]) -> None:
        self._send(case, "nobody")

    def ask_as_the_table(self) -> None:
        """Each row's own request, by somebody of each kind that it tells apart."""
        for row, rule in self.rows():
            for actor in {gets: actor for actor, gets in rule.by_actor().items()}.values():
                answer = self.tenants.send(self.name, row, rule, actor)
                self._check(self.operation.Case(), Response.from_any(answer))

    def tell(self, path_parameters: dict[str, Any], body: bytes, headers: dict[str, str]) -> None:
        """What the document says nothing about."""
        case = self.operation.Case(path_parameters=path_parameters)
        self._check(case, case.call(base_url=self.base, session=self.session, headers=headers, data=body))

    def _send(self, case: Case[Any], actor: str) -> None:
        if isinstance(case.query.get("wait_s"), (int, float)):
            case.query["wait_s"] = 0
        told = {"base_url": self.base, "session": self.session, "timeout": WITHIN_S}
        if actor == NODE:
            answer = case.call(**told, auth=self._signed)
        else:
            answer = case.call(**told, headers=dict(self.tenants.people[actor].vps.headers))
        if answer.status_code == HTTPStatus.UNAUTHORIZED and actor != NODE:
            self.tenants.sign_in_again(actor)
        self._check(case, answer)

    def _signed(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """As requests wants somebody who authorizes: given the request as it will be sent."""
        parts = urlsplit(str(request.url))
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        body = request.body.encode() if isinstance(request.body, str) else request.body
        assert isinstance(body, bytes | None)
        token, _ = self.signer.call(VPS_ID, Call(str(request.method), target, body or b""))
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    # --- what is answered ----------------------------------------------------------------------------

    def _check(self, case: Case[Any], answer: Response) -> None:
        """Raises FailureGroup, with the request as a command."""
        self.statuses.add(answer.status_code)
        problem = answer.json() if answer.headers.get("content-type") == [MEDIA_TYPE] and answer.content else {}
        if not self._is_reached(answer) and problem.get("code") in OF_NO_ROUTE:
            return
        of_method = OF_HEADS if answer.request.method == "HEAD" else CHECKS
        rightly: list[CheckFunction] = [not_a_server_error] if problem.get("code") in RIGHTLY else []
        case.validate_response(answer, checks=of_method, excluded_checks=rightly)
        if (code := problem.get("code")) and code != MethodNotAllowed.code:
            assert code in self._codes(answer.status_code), f"{answer.status_code} {code} of {self.route}: undocumented"

    def _codes(self, status: int) -> list[str]:
        """Those that the document has for this status."""
        described = self.operation.definition.raw["responses"][str(status)]["description"]
        return re.findall(r"`(\w+)`", described)

    def _is_reached(self, answer: Response) -> bool:
        """Whether the path still is this operation's, with all that was put into it."""
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(self.operation.path))
        return re.fullmatch(pattern, unquote(urlsplit(str(answer.request.url)).path)) is not None
