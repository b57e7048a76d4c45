"""Imports go one way, files stay small, names say what is inside. Needs no database: it is part of `make check`."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("vps_service", "cloud_service")
OURS = ("shared", *SERVICES, "tests")
VAGUE = {"utils", "util", "helpers", "helper", "service", "services", "common", "misc"}

RANKS = {"models": 0, "schemas": 0, "rules": 1, "queries": 2, "actions": 3, "routes": 4}
"""A module of a feature imports none of a higher rank, be it of another feature."""

Imports = dict[str, set[str]]
"""Every module of ours, with the dotted names that it imports."""


def files() -> Iterator[Path]:
    for package in OURS:
        yield from sorted((ROOT / package).rglob("*.py"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def names_imported(path: Path) -> Iterator[str]:
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = [*package[: len(package) - node.level + 1]] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="module")
def imports() -> Imports:
    return {dotted(path): set(names_imported(path)) for path in files()}


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def module_of(name: str, imports: Imports) -> str | None:
    """The module of ours that an imported name is, or is in."""
    while name and name not in imports:
        name = name.rpartition(".")[0]
    return name or None


def edges(imports: Imports, *packages: str) -> Iterator[tuple[str, str]]:
    """Who imports whom among our modules."""
    for module, names in sorted(imports.items()):
        if within(module, *packages):
            for name in sorted(names):
                if (target := module_of(name, imports)) and target != module:
                    yield module, target


def last(module: str) -> str:
    return module.rpartition(".")[2]


def services_that_import_each_other(imports: Imports) -> list[str]:
    between = [(a, b) for a, b in edges(imports, *SERVICES) if within(b, *SERVICES)]
    return [f"{a} -> {b}" for a, b in between if a.split(".")[0] != b.split(".")[0]]


def shared_modules_that_import_a_service(imports: Imports) -> list[str]:
    return [f"{a} -> {b}" for a, b in edges(imports, "shared") if not within(b, "shared")]


def imports_of_tests(imports: Imports) -> list[str]:
    return [f"{a} -> {b}" for a, b in edges(imports, "shared", *SERVICES) if within(b, "tests")]


def imports_up_the_layers(imports: Imports) -> list[str]:
    return [
        f"{a} -> {b}"
        for a, b in edges(imports, *SERVICES)
        if a.count(".") > 1 and b.count(".") > 1 and RANKS.get(last(a), 9) < RANKS.get(last(b), 0)
    ]


def imports_of_routes(imports: Imports) -> list[str]:
    return [f"{a} -> {b}" for a, b in edges(imports, *SERVICES) if last(b) == "routes" and last(a) != "app"]


def routes_that_know_sql(imports: Imports) -> list[str]:
    statements = {f"sqlalchemy.{word}" for word in ("select", "insert", "update", "delete", "text")}
    statements |= {f"sqlalchemy.dialects.postgresql.{word}" for word in ("insert", "array")}
    return [module for module, names in imports.items() if last(module) == "routes" and names & statements]


def inner_layers_that_know_http(imports: Imports) -> list[str]:
    return [
        module
        for module, names in imports.items()
        if last(module) in ("actions", "queries", "rules", "models")
        and any(within(name, "fastapi", "starlette") for name in names)
    ]


def cycles(imports: Imports) -> list[str]:
    follows: dict[str, set[str]] = {}
    for a, b in edges(imports, "shared", *SERVICES):
        follows.setdefault(a, set()).add(b)
    found, finished = [], set()

    def visit(module: str, trail: list[str]) -> None:
        if module in trail:
            found.append(" -> ".join([*trail[trail.index(module) :], module]))
        elif module not in finished:
            for target in sorted(follows.get(module, ())):
                visit(target, [*trail, module])
            finished.add(module)

    for module in sorted(follows):
        visit(module, [])
    return found


Rule = Callable[[Imports], list[str]]
BROKEN: dict[Rule, Imports] = {
    services_that_import_each_other: {"vps_service.db": {"cloud_service.db.Store"}, "cloud_service.db": set()},
    shared_modules_that_import_a_service: {"shared.cli": {"vps_service.app"}, "vps_service.app": set()},
    imports_of_tests: {"shared.cli": {"tests.conftest"}, "tests.conftest": set()},
    imports_up_the_layers: {
        "vps_service.keys.queries": {"vps_service.courses.actions.delete_course"},
        "vps_service.courses.actions": set(),
    },
    imports_of_routes: {"vps_service.admin.routes": {"vps_service.keys.routes.x"}, "vps_service.keys.routes": set()},
    routes_that_know_sql: {"vps_service.keys.routes": {"sqlalchemy.select"}},
    inner_layers_that_know_http: {"vps_service.keys.actions": {"fastapi.Request"}},
    cycles: {"shared.a": {"shared.b.x"}, "shared.b": {"shared.c.x"}, "shared.c": {"shared.a.x"}},
}
NAMES = [rule.__name__ for rule in BROKEN]


@pytest.mark.parametrize("rule", BROKEN, ids=NAMES)
def test_there_are_no(rule: Rule, imports: Imports) -> None:
    assert rule(imports) == []


@pytest.mark.parametrize(("rule", "broken"), BROKEN.items(), ids=NAMES)
def test_each_rule_sees_when_it_is_broken(rule: Rule, broken: Imports) -> None:
    assert rule(broken)


def test_no_file_is_longer_than_can_be_read_at_once() -> None:
    long = [f"{path.relative_to(ROOT)}: {lines}" for path in files() if (lines := path.read_text().count("\n")) > 400]
    assert long == []


def test_every_name_says_what_is_inside() -> None:
    assert [str(path) for path in files() if path.stem in VAGUE or path.parent.name in VAGUE] == []


def test_every_folder_of_ours_is_looked_at(imports: Imports) -> None:
    assert {"shared.tokens", "vps_service.app", "vps_service.payments.actions"} <= set(imports)
