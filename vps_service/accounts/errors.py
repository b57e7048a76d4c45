from shared.problems import BadRequest, Conflict, Forbidden, Invalid, NotAuthenticated, NotFound, Unavailable


class AlreadyTaken(Conflict):
    code, title = "already_taken", "Somebody has that already"


class BadCredentials(NotAuthenticated):
    code, title = "bad_credentials", "The login or the password is wrong"


class WrongPassword(Forbidden):
    """Of somebody who is signed in, so that no client takes it for an end of that."""

    code, title = "wrong_password", "The password is wrong"


class SecondFactorRequired(Forbidden):
    """As `WrongPassword`; `TotpRequired` is said to who signs in."""

    code, title = "second_factor_required", "A code of the second factor is needed besides the password"


class WrongSecondFactor(Forbidden):
    """As `WrongPassword`; `BadTotp` is said to who signs in."""

    code, title = "wrong_second_factor", "The code of the second factor is wrong, or was used already"


class TotpRequired(NotAuthenticated):
    code, title = "totp_required", "A code of the second factor is needed besides the password"


class BadTotp(NotAuthenticated):
    code, title = "bad_totp", "The code of the second factor is wrong, or was used already"


class TotpEnrolmentRequired(NotAuthenticated):
    """401, as RFC 9470 has it for who has to prove more: signing in does not help before."""

    code, title = "totp_enrolment_required", "An admin needs a second factor first"


class BadRefreshToken(NotAuthenticated):
    code, title = "bad_refresh_token", "Sign in again"


class SessionNotFound(NotFound):
    code, title = "session_not_found", "You are not signed in there"


class TooManyPasswords(Unavailable):
    code, title = "too_many_passwords", "Too many people are signing in at this moment"


class WrongRole(Forbidden):
    code, title = "wrong_role", "This kind of account may not do that"


class WrongCode(Invalid):
    code, title = "wrong_code", "The code is wrong"

    def __init__(self) -> None:
        super().__init__("is not the code", field="body.code")


class TotpAlreadyOn(Conflict):
    code, title = "totp_already_on", "The second factor is on already; remove it first"


class TotpNotBegun(Conflict):
    code, title = "totp_not_begun", "There is no second factor to confirm; enrol first"


class TotpOff(Conflict):
    code, title = "totp_off", "The second factor is off"


class UserNotFound(NotFound):
    code, title = "user_not_found", "There is no such user"


class CannotBanOneself(Conflict):
    code, title = "cannot_ban_oneself", "You cannot ban yourself"


class AdminRole(Conflict):
    code, title = "admin_role", "An admin's role is changed by an operator at the server only"


class TeacherHasCourses(Conflict):
    code, title = "teacher_has_courses", "A teacher who has courses cannot become a student"


class ImageNotFound(NotFound):
    code, title = "image_not_found", "There is no such image"


class NotAnImage(Invalid):
    code, title = "not_an_image", "The image cannot be used"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, field="body.image")


class TooManyImages(Unavailable):
    code, title = "too_many_images", "Too many pictures are being changed at this moment"


class LinkNotValid(BadRequest):
    code, title = "link_not_valid", "The link is wrong, was used, is too old, or there is a newer one"


class NoEmail(Conflict):
    code, title = "no_email", "This account has no e-mail address"


class AlreadyVerified(Conflict):
    code, title = "already_verified", "The address is confirmed already"
