from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from shared.problems import NotAuthenticated, responses
from shared.schemas import Page, Text
from shared.tokens import Role
from vps_service import paging
from vps_service.accounts import moderation
from vps_service.accounts.current import CurrentAdmin
from vps_service.accounts.errors import AdminRole, CannotBanOneself, TeacherHasCourses, UserNotFound, WrongRole
from vps_service.admin import queries
from vps_service.admin.schemas import FoundUser, RoleWanted, State, TeacherForAdmin, UserForAdmin
from vps_service.db import Session, Transactions
from vps_service.followers import actions as followers
from vps_service.followers.errors import TeacherNotFound
from vps_service.vps import CurrentVps

LOOKED_FOR = "Part of a username, name, e-mail or phone; fewer than three letters or digits: what a word begins with."

router = APIRouter()
teacher_errors = responses(NotAuthenticated, WrongRole, TeacherNotFound)


@router.get("/users", summary="Users, newest first", responses=responses(NotAuthenticated, WrongRole))
async def list_users(
    _: CurrentAdmin,
    session: Session,
    q: Annotated[Text | None, Query(max_length=254, description=LOOKED_FOR)] = None,
    role: Role | None = None,
    state: State | None = None,
    limit: paging.Limit = 20,
    cursor: paging.Cursor = None,
) -> Page[FoundUser]:
    rows = await queries.users(session, q=q, role=role, state=state, after=paging.after(cursor), limit=limit)
    return paging.page(rows, limit, FoundUser.from_row)


@router.post(
    "/users/{user_id}/ban",
    summary="Ban a user",
    responses=responses(NotAuthenticated, WrongRole, UserNotFound, CannotBanOneself),
)
async def ban_user(user_id: UUID, admin: CurrentAdmin, sessions: Transactions, vps: CurrentVps) -> UserForAdmin:
    """Every token of theirs is void at once, and their follows count no more. Their courses leave the shop, and stay
    with those who have bought them.
    """
    user = await moderation.ban_user(sessions, admin, user_id, vps.settings.followers_required)
    return UserForAdmin.model_validate(user)


@router.post(
    "/users/{user_id}/activate",
    summary="Let a banned user in again",
    responses=responses(NotAuthenticated, WrongRole, UserNotFound),
)
async def activate_user(user_id: UUID, admin: CurrentAdmin, sessions: Transactions, vps: CurrentVps) -> UserForAdmin:
    """They have to sign in; their follows count again. Their courses they may submit again."""
    user = await moderation.activate_user(sessions, admin, user_id, vps.settings.followers_required)
    return UserForAdmin.model_validate(user)


@router.put(
    "/users/{user_id}/role",
    summary="Make a user a student or a teacher",
    responses=responses(NotAuthenticated, WrongRole, UserNotFound, AdminRole, TeacherHasCourses),
)
async def change_role(user_id: UUID, wanted: RoleWanted, admin: CurrentAdmin, session: Session) -> UserForAdmin:
    """They have to sign in again."""
    return UserForAdmin.model_validate(await moderation.change_role(session, admin, user_id, wanted.role))


@router.post("/teachers/{username}/verify", summary="Verify a teacher", responses=teacher_errors)
async def verify_teacher(username: Text, admin: CurrentAdmin, session: Session) -> TeacherForAdmin:
    """Whatever the number of followers; a demotion is taken back."""
    return TeacherForAdmin.from_row(username, await followers.verify_teacher(session, admin, username))


@router.post("/teachers/{username}/demote", summary="Take a teacher's verification away", responses=teacher_errors)
async def demote_teacher(username: Text, admin: CurrentAdmin, session: Session) -> TeacherForAdmin:
    """They upload no more, and followers do not verify them again. What is published stays."""
    return TeacherForAdmin.from_row(username, await followers.demote_teacher(session, admin, username))
