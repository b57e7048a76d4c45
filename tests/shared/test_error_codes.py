"""Clients decide on an error's code: within a service each stands for one thing."""

import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Iterator

import pytest

from shared.problems import AppError


def codes(service: str) -> dict[str, list[str]]:
    """Each code that an error of this service, or of `shared`, gives itself, with the names of these errors."""
    for module in pkgutil.walk_packages(importlib.import_module(service).__path__, f"{service}."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)
    found = defaultdict(list)
    for error in errors(AppError):
        if "code" in vars(error) and error.__module__.split(".")[0] in (service, "shared"):
            found[error.code].append(f"{error.__module__}.{error.__name__}")
    return found


def errors(base: type[AppError]) -> Iterator[type[AppError]]:
    yield base
    for error in base.__subclasses__():
        yield from errors(error)


@pytest.mark.parametrize("service", ["vps_service", "cloud_service"])
def test_no_code_is_of_two_errors(service: str) -> None:
    found = codes(service)
    assert len(found) > 20
    assert {code: names for code, names in found.items() if len(names) > 1} == {}
