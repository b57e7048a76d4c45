"""Clients decide on an error's code: within a service each stands for one thing; and on how long they are to wait."""

import importlib
import inspect
import pkgutil
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest

from shared.problems import AppError, problem_response


def codes(service: str) -> dict[str, list[str]]:
    """Each code that an error of this service, or of `shared`, gives itself, with the names of these errors."""
    found = defaultdict(list)
    for error in errors_of(service):
        if "code" in vars(error):
            found[error.code].append(f"{error.__module__}.{error.__name__}")
    return found


def errors_of(service: str) -> list[type[AppError]]:
    """And of `shared`."""
    for module in pkgutil.walk_packages(importlib.import_module(service).__path__, f"{service}."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)
    return [error for error in errors(AppError) if error.__module__.split(".")[0] in (service, "shared")]


def made(error: Callable[..., AppError]) -> AppError:
    """With something for all that it has to be told."""
    parameters = inspect.signature(error).parameters.values()
    needed = [one for one in parameters if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    return error(*(7 if one.annotation in (int, float) else "why" for one in needed))


def errors(base: type[AppError]) -> Iterator[type[AppError]]:
    yield base
    for error in base.__subclasses__():
        yield from errors(error)


@pytest.mark.parametrize("service", ["vps_service", "cloud_service"])
def test_no_code_is_of_two_errors(service: str) -> None:
    found = codes(service)
    assert len(found) > 20
    assert {code: names for code, names in found.items() if len(names) > 1} == {}


@pytest.mark.parametrize("service", ["vps_service", "cloud_service"])
def test_whoever_is_told_to_come_later_is_told_when(service: str) -> None:
    later = [error for error in errors_of(service) if error.status in (429, 503)]
    assert {429, 503} == {error.status for error in later}
    for error in later:
        answer = problem_response(made(error))
        assert int(answer.headers["retry-after"]) > 0, error
