"""Every table, so that migrations and the metadata see them all."""

from vps_service.accounts.models import ForgottenPassword, Proof, RecoveryCode, RefreshToken, SignIn, TotpSecret, User
from vps_service.audit.models import AuditEvent
from vps_service.changes import ChangeCounter, ChangeRow
from vps_service.community.models import VideoShare
from vps_service.courses.models import Course, Lesson, Section, Video
from vps_service.db import Base
from vps_service.followers.models import Follow, Teacher
from vps_service.keys.models import Key
from vps_service.leaving.models import Leaving
from vps_service.limits.models import RateLimit
from vps_service.mail.models import Mail
from vps_service.nodes.models import Node, NodeKey, ReceivedEvent, SpentToken
from vps_service.payments.models import LedgerEntry, Payment
from vps_service.phones.models import PhoneCode
from vps_service.playbacks.models import Playback
from vps_service.profiles.models import Profile

__all__ = [
    "AuditEvent",
    "Base",
    "ChangeCounter",
    "ChangeRow",
    "Course",
    "Follow",
    "ForgottenPassword",
    "Key",
    "Leaving",
    "LedgerEntry",
    "Lesson",
    "Mail",
    "Node",
    "NodeKey",
    "Payment",
    "PhoneCode",
    "Playback",
    "Profile",
    "Proof",
    "RateLimit",
    "ReceivedEvent",
    "RecoveryCode",
    "RefreshToken",
    "Section",
    "SignIn",
    "SpentToken",
    "Teacher",
    "TotpSecret",
    "User",
    "Video",
    "VideoShare",
]
