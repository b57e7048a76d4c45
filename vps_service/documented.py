"""What the OpenAPI document says of routes that they do not say themselves: which errors stand before them."""

from typing import Any

from shared.contract import JWKS
from shared.problems import AppError
from vps_service.accounts.errors import TotpEnrolmentRequired
from vps_service.health import DatabaseUnreachable

WITHOUT_DATABASE = {"/health/live", JWKS, "/api/images/{image_id}/{size}"}
ENROLLING = {"/api/auth/totp", "/api/auth/totp/confirm"}
"""Open to admins who have no second factor yet."""
BY_USERS = {"HTTPBearer": list[str]()}
"""How the document says that a user's token is looked at."""


def errors_before(path: str, operation: dict[str, Any]) -> list[type[AppError]]:
    errors: list[type[AppError]] = []
    if BY_USERS in operation.get("security", ()) and path not in ENROLLING:
        errors.append(TotpEnrolmentRequired)
    if path not in WITHOUT_DATABASE:
        errors.append(DatabaseUnreachable)
    return errors
