from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, func
from sqlalchemy.orm import Mapped, mapped_column

from shared.tokens import Role
from vps_service.db import Base, Row


class User(Row):
    """`generation` counts how often all the user's sessions were ended; access tokens of an earlier one are void.

    Who is `leaving` has asked to be deleted, and is not there for anybody else; signing in takes it back. What stays of
    whom was `deleted` is a row that keys, payments and courses hang on, blank otherwise.

    An e-mail and a phone are claims until they are verified: any number may claim one, and one alone has proved it.

    `totp_since`: from when on a second factor is needed to sign in, if one is.
    """

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("role IN ('student', 'teacher', 'admin')", name="role"),
        CheckConstraint("state IN ('active', 'banned', 'leaving', 'deleted')", name="state"),
        CheckConstraint("email IS NOT NULL OR phone IS NOT NULL OR state = 'deleted'", name="reachable"),
        CheckConstraint("username = lower(username) AND email = lower(email)", name="lower_case"),
        Index("uq_users_username", "username", unique=True),
        Index("uq_users_email", "email", unique=True, postgresql_where="email_verified_at IS NOT NULL"),
        Index("uq_users_phone", "phone", unique=True, postgresql_where="phone_verified_at IS NOT NULL"),
        Index("ix_users_email", "email"),
        Index("ix_users_phone", "phone"),
    )

    role: Mapped[Role] = mapped_column(String)
    name: Mapped[str]
    username: Mapped[str]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    password_hash: Mapped[str]
    image_id: Mapped[UUID | None]
    locale: Mapped[str | None]
    state: Mapped[str] = mapped_column(default="active", server_default="active")
    generation: Mapped[int] = mapped_column(default=0, server_default="0")
    email_verified_at: Mapped[datetime | None]
    phone_verified_at: Mapped[datetime | None]
    totp_since: Mapped[datetime | None]

    @property
    def is_active(self) -> bool:
        return self.state == "active"

    @property
    def may_sign_in(self) -> bool:
        """Who does so takes back what they were leaving for."""
        return self.is_active or self.is_leaving

    @property
    def is_leaving(self) -> bool:
        return self.state == "leaving"

    @property
    def is_deleted(self) -> bool:
        return self.state == "deleted"

    def has_proved(self, address: str) -> bool:
        """Whether this e-mail or phone is known to be theirs."""
        is_email, is_phone = self.email == address, self.phone == address
        return (is_email and self.email_verified_at is not None) or (is_phone and self.phone_verified_at is not None)

    def lacks_totp(self, *, admins_need_totp: bool) -> bool:
        """Whether they may do nothing but enrol, as an admin without the second factor that admins need."""
        return admins_need_totp and self.role == "admin" and self.totp_since is None

    def has_role(self, *roles: Role) -> bool:
        return self.role in roles


class SignIn(Row):
    """A session: somebody signed in on one device. Its end is that the row goes, and its refresh tokens with it.

    `device` is what the User-Agent said, `address` where from, both as of the last use, which is the last refresh.
    It expires with the newest of its tokens.
    """

    __tablename__ = "sign_ins"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    device: Mapped[str]
    address: Mapped[str]
    last_used_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(index=True)


class RefreshToken(Row):
    """One use of a sign-in; the tokens that replaced each other are one family. Only the hash is kept.

    One that was used has a `salt`, of which with the token itself the next is made, and made again for who asks twice.
    """

    __tablename__ = "refresh_tokens"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    family: Mapped[UUID] = mapped_column(ForeignKey("sign_ins.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
    salt: Mapped[bytes | None]


class Proof(Row):
    """A mailed link: whoever comes with its token reads what is sent to `address`. Only the token's hash is kept.

    It ended when it was used, or when a newer one of its kind was sent.
    """

    __tablename__ = "proofs"
    __table_args__ = (
        CheckConstraint("kind IN ('verify_email', 'reset_password', 'change_email')", name="kind"),
        Index("uq_proofs_newest", "user_id", "kind", unique=True, postgresql_where="ended_at IS NULL"),
        Index("ix_proofs_address", "address", "created_at"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    address: Mapped[str]
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class ForgottenPassword(Row):
    """Somebody wants a link for a new password. Whether `login` is anybody's is found out later, so that asking takes
    as long for a login that nobody has.
    """

    __tablename__ = "forgotten_passwords"

    login: Mapped[str]


class TotpSecret(Base):
    """What makes a user's one-time passwords, sealed with `CodesKey`; it counts once `User.totp_since` is set.

    `last_step` is the newest half minute (RFC 6238's T) whose code was used.
    """

    __tablename__ = "totp_secrets"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    sealed: Mapped[bytes]
    last_step: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class RecoveryCode(Row):
    """Signs in once in the place of a one-time password; it is deleted when it has."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    code_hash: Mapped[bytes] = mapped_column(unique=True)
