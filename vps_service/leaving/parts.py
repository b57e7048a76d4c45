"""What is in an export: each file's rows, with the columns that are their user's business and no secret."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import InstrumentedAttribute

from vps_service.accounts.models import SignIn, User
from vps_service.audit.models import AuditEvent
from vps_service.community.models import VideoShare
from vps_service.courses.models import Course, Lesson, Section, Video
from vps_service.db import Base
from vps_service.followers.models import Follow, Teacher
from vps_service.keys.models import Key
from vps_service.nodes.models import Node
from vps_service.payments.models import LedgerEntry, Payment
from vps_service.playbacks.models import Playback
from vps_service.profiles.models import Profile

Rows = Select[*tuple[Any, ...]]


@dataclass(frozen=True)
class Part:
    """One file. `key` is unique among the rows of one user: they are read in its order, some at a time."""

    name: str
    rows: Rows
    key: ColumnElement[UUID] | InstrumentedAttribute[UUID]


COLUMNS: dict[type[Base], tuple[str, ...]] = {
    User: (
        *("id", "created_at", "role", "name", "username", "email", "phone", "image_id", "state"),
        *("locale", "email_verified_at", "phone_verified_at", "totp_since"),
    ),
    Profile: ("bio", "instruments", "experience_level", "email_notifications", "push_notifications"),
    Teacher: ("followers", "verified_at", "demoted_at"),
    SignIn: ("id", "created_at", "device", "address", "last_used_at", "expires_at"),
    Follow: ("created_at",),
    Course: (
        *("id", "created_at", "title", "description", "price_amount", "currency", "status", "rejection_reason"),
        *("downloads_allowed", "deleted_at"),
    ),
    Section: ("id", "created_at", "course_id", "title", "position"),
    Lesson: ("id", "created_at", "course_id", "section_id", "kind", "title", "position", "is_preview"),
    Video: (
        *("id", "created_at", "kind", "title", "lesson_id", "course_id", "size", "sha256", "media_type", "duration_s"),
        *("status", "reason", "renditions", "deleted_at"),
        *("description", "piece_name", "composer", "practice_goals", "is_public"),
    ),
    VideoShare: ("video_id", "created_at"),
    Key: ("id", "created_at", "course_id", "payment_id", "status"),
    Payment: (
        *("id", "created_at", "course_id", "provider", "provider_ref", "amount", "currency", "status", "paid_at"),
    ),
    LedgerEntry: ("id", "created_at", "payment_id", "reason", "round", "amount", "currency"),
    AuditEvent: ("id", "created_at", "what", "subject", "details", "address"),
    Playback: ("video_id", "began_at", "viewed_at", "used_at", "watched", "ended_at"),
}
"""A test holds every column against this: it is here, or it is said there why not."""


def _select(model: type[Base], *more: Any) -> Rows:
    return select(*[getattr(model, name) for name in COLUMNS[model]], *more)


def parts(user_id: UUID) -> list[Part]:
    return [*_account(user_id), *_teaching(user_id), *_videos(user_id), *_learning(user_id)]


def _account(user_id: UUID) -> list[Part]:
    following = _select(Follow, User.username.label("teacher")).join(User, User.id == Follow.teacher_id)
    return [
        Part("account", _select(User).where(User.id == user_id), User.id),
        Part("profile", _select(Profile).where(Profile.user_id == user_id), Profile.user_id),
        Part("teacher", _select(Teacher).where(Teacher.user_id == user_id), Teacher.user_id),
        Part("sign_ins", _select(SignIn).where(SignIn.user_id == user_id), SignIn.id),
        Part("acts", _select(AuditEvent).where(AuditEvent.actor_id == user_id), AuditEvent.id),
        Part("following", following.where(Follow.follower_id == user_id), Follow.teacher_id),
    ]


def _teaching(user_id: UUID) -> list[Part]:
    sections = _select(Section).join(Course, Course.id == Section.course_id)
    lessons = _select(Lesson).join(Course, Course.id == Lesson.course_id)
    return [
        Part("courses", _select(Course).where(Course.teacher_id == user_id), Course.id),
        Part("sections", sections.where(Course.teacher_id == user_id), Section.id),
        Part("lessons", lessons.where(Course.teacher_id == user_id), Lesson.id),
        Part("earnings", _select(LedgerEntry).where(LedgerEntry.teacher_id == user_id), LedgerEntry.id),
    ]


def _videos(user_id: UUID) -> list[Part]:
    """Of all kinds, and of each the node where its owner downloads it; whom practice videos are shared with."""
    videos = _select(Video, Node.url.label("node")).outerjoin(Node, Node.id == Video.node_id)
    shared = _select(VideoShare, User.username.label("with")).join(User, User.id == VideoShare.user_id)
    return [
        Part("videos", videos.where(Video.owner_id == user_id), Video.id),
        Part(
            "shared_by_me",
            shared.join(Video, Video.id == VideoShare.video_id).where(Video.owner_id == user_id),
            VideoShare.id,
        ),
    ]


def _learning(user_id: UUID) -> list[Part]:
    title = Course.title.label("course_title")
    keys = _select(Key, title).join(Course, Course.id == Key.course_id)
    payments = _select(Payment, title).join(Course, Course.id == Payment.course_id)
    shared = _select(VideoShare, User.username.label("by")).join(Video, Video.id == VideoShare.video_id)
    return [
        Part("keys", keys.where(Key.user_id == user_id), Key.id),
        Part("payments", payments.where(Payment.user_id == user_id), Payment.id),
        Part("playbacks", _select(Playback).where(Playback.user_id == user_id), Playback.id),
        Part(
            "shared_with_me",
            shared.join(User, User.id == Video.owner_id).where(VideoShare.user_id == user_id),
            VideoShare.id,
        ),
    ]
