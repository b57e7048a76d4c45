import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from shared import contract
from shared.problems import NotAuthenticated, responses
from vps_service import changes
from vps_service.db import Session, Transactions
from vps_service.internal import actions
from vps_service.internal.current_node import CurrentNode

router = APIRouter(tags=["internal"], responses=responses(NotAuthenticated))

POLL_EVERY_S = 0.2


@router.post(contract.ACCESS, summary="May this user watch this video?")
async def access(_: CurrentNode, question: contract.AccessQuestion, session: Session) -> contract.AccessAnswer:
    return await actions.answer_access(session, question)


@router.get(contract.TEACHER, summary="What is this teacher's standing?")
async def teacher(user_id: UUID, _: CurrentNode, session: Session, request: Request) -> contract.TeacherAnswer:
    return await actions.answer_teacher(session, user_id, request.app.state.settings.followers_required)


@router.post(contract.UPLOAD_RIGHTS, summary="May this user upload into this lesson?")
async def upload_rights(
    _: CurrentNode, question: contract.UploadQuestion, session: Session, request: Request
) -> contract.UploadAnswer:
    return await actions.answer_upload(session, question, request.app.state.settings.followers_required)


@router.post(contract.DELETIONS, summary="Delete a course or a video, the truth first")
async def deletions(_: CurrentNode, question: contract.DeletionQuestion, session: Session) -> contract.DeletionAnswer:
    return await actions.agree_to_deletion(session, question)


@router.post(contract.EVENTS, summary="Something happened to a video on a node")
async def events(node_id: CurrentNode, event: contract.Event, session: Session) -> contract.EventAnswer:
    return await actions.receive_event(session, node_id, event)


@router.get(contract.CHANGES, summary="Changes of rights since a position")
async def list_changes(
    _: CurrentNode,
    request: Request,
    sessions: Transactions,
    after: Annotated[int | None, Query(ge=0)] = None,
    epoch: UUID | None = None,
    wait_s: Annotated[float, Query(ge=0, le=30)] = 0,
) -> contract.Changes:
    """Waits up to `wait_s` for the first change, so that a node hears of it at once and asks rarely."""
    deadline = asyncio.get_running_loop().time() + wait_s
    while True:
        async with sessions() as session:
            found = await changes.since(session, after, epoch)
        over = asyncio.get_running_loop().time() >= deadline
        if found.items or found.reset or over or await request.is_disconnected():
            return found
        await asyncio.sleep(POLL_EVERY_S)
