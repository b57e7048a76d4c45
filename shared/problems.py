"""Errors as a tree with stable codes, answered as RFC 9457 `application/problem+json` by both services."""

import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from shared.logs import HEADER, request_id

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457 problem details; clients decide on `code`, people read `detail`."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str | None = None
    request_id: str | None = None
    errors: list[FieldError] | None = None


class AppError(Exception):
    """Base of every expected error. A subclass states its HTTP status, its code and its title."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(self, detail: str | None = None, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.headers = dict(headers or {})

    def problem(self, errors: list[FieldError] | None = None) -> Problem:
        return Problem(
            title=self.title,
            status=self.status,
            code=self.code,
            detail=self.detail,
            request_id=request_id(),
            errors=errors,
        )


class BadRequest(AppError):
    status, code, title = 400, "bad_request", "The request cannot be read"


class NotAuthenticated(AppError):
    status, code, title = 401, "not_authenticated", "A valid access token is needed"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class Forbidden(AppError):
    status, code, title = 403, "forbidden", "This account may not do that"


class NotFound(AppError):
    status, code, title = 404, "not_found", "There is nothing here"


class MethodNotAllowed(AppError):
    status, code, title = 405, "method_not_allowed", "This address does not take that method"


class TooSlow(AppError):
    status, code, title = 408, "too_slow", "The body did not arrive in time"


class Conflict(AppError):
    status, code, title = 409, "conflict", "That does not fit the present state"


class TooLarge(AppError):
    status, code, title = 413, "too_large", "The body is larger than allowed"


class Invalid(AppError):
    """A value that is well-formed but not acceptable; names its field like any validation error."""

    status, code, title = 422, "validation_failed", "Some of the input is not valid"

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.field = field

    def problem(self, errors: list[FieldError] | None = None) -> Problem:
        named = [FieldError(field=self.field, message=self.detail or self.title)] if self.field else None
        return super().problem(errors or named)


class Unavailable(AppError):
    status, code, title = 503, "unavailable", "This cannot be answered right now"

    def __init__(self, detail: str | None = None, *, retry_after_s: int = 5) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


class InternalError(AppError):
    """An unknown error: logged with its id, answered without detail."""


BY_STATUS: dict[int, type[AppError]] = {
    400: BadRequest,
    401: NotAuthenticated,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    408: TooSlow,
    413: TooLarge,
}


def responses(*errors: type[AppError]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses` of a route that may end in these errors, grouped by status."""
    by_status: dict[int, list[type[AppError]]] = {}
    for error in errors:
        by_status.setdefault(error.status, []).append(error)
    return {
        status: {
            "model": Problem,
            "description": "; ".join(f"`{error.code}`: {error.title}" for error in group),
        }
        for status, group in sorted(by_status.items())
    }


READ_BEFORE_ROUTES = {"application/json", "multipart/form-data"}
"""The kinds of body that are read, up to a limit, and taken apart before the route is called."""


def _document(operation: dict[str, Any], error: type[AppError]) -> None:
    """Beside what else has its status; a description without a code is FastAPI's own."""
    response = operation["responses"].setdefault(str(error.status), {"description": ""})
    told, described = response["description"], f"`{error.code}`: {error.title}"
    if f"`{error.code}`" not in told:
        response["description"] = f"{told}; {described}" if "`" in told else described


Before = Callable[[str, dict[str, Any]], Sequence[type[AppError]]]
"""Which errors come from what stands before a route, by its path and by what the document has of it."""


def _documented(document: dict[str, Any], before: Before) -> dict[str, Any]:
    """The OpenAPI document with every error as it is really answered: FastAPI only knows its own shapes."""
    as_problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, operation in ((path, one) for path, item in document["paths"].items() for one in item.values()):
        for error in before(path, operation):
            _document(operation, error)
        if "422" in operation["responses"]:
            _document(operation, Invalid)
        if READ_BEFORE_ROUTES & operation.get("requestBody", {}).get("content", {}).keys():
            for error in (BadRequest, TooSlow, TooLarge):
                _document(operation, error)
        for status, response in operation["responses"].items():
            if status >= "400":
                response["content"] = as_problem
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= schemas["Problem"].pop("$defs")
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def problem_response(error: AppError, errors: list[FieldError] | None = None) -> JSONResponse:
    body = error.problem(errors).model_dump(exclude_none=True)
    return JSONResponse(body, status_code=error.status, headers=error.headers, media_type=MEDIA_TYPE)


def field_errors(problems: Sequence[Any]) -> list[FieldError]:
    """Pydantic's errors by field; the refused value itself is never repeated (it may be a password)."""
    return [
        FieldError(field=".".join(str(part) for part in problem["loc"]), message=problem["msg"]) for problem in problems
    ]


def install(app: FastAPI, before: Before = lambda _path, _operation: ()) -> None:
    """Make every error of `app`, expected or not, an answer of this shape, and documented as such."""

    async def expected(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, AppError)
        return problem_response(error)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return problem_response(Invalid("See errors."), field_errors(error.errors()))

    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if known := BY_STATUS.get(error.status_code):
            answer = problem_response(known())
        else:
            title, told = HTTPStatus(error.status_code).phrase, str(error.detail)
            other = Problem(
                title=title, status=error.status_code, code="http_error", detail=told, request_id=request_id()
            )
            answer = JSONResponse(other.model_dump(exclude_none=True), error.status_code, media_type=MEDIA_TYPE)
        answer.headers.update(error.headers or {})
        return answer

    async def unknown(_: Request, error: Exception) -> JSONResponse:
        log.error("unexpected error", exc_info=error)
        answer = problem_response(InternalError())
        answer.headers[HEADER] = request_id() or ""
        return answer

    plain = app.openapi

    def openapi() -> dict[str, Any]:
        return app.openapi_schema or _documented(plain(), before)

    app.openapi = openapi  # type: ignore[method-assign] # as FastAPI's documentation says to extend it
    app.add_exception_handler(AppError, expected)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unknown)
