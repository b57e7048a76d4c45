import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from shared import contract
from shared.peer import calling_peer
from shared.problems import NotAuthenticated, responses
from vps_service import changes
from vps_service.db import Session, Transactions
from vps_service.internal import actions
from vps_service.vps import CurrentVps

router = APIRouter(tags=["internal"], dependencies=[Depends(calling_peer)], responses=responses(NotAuthenticated))
CallingNode = Annotated[str, Depends(calling_peer)]

POLL_EVERY_S = 0.2


@router.post(contract.ACCESS, summary="May this user watch this video?")
async def access(question: contract.AccessQuestion, session: Session) -> contract.AccessAnswer:
    return await actions.answer_access(session, question)


@router.get(contract.TEACHER, summary="What is this teacher's standing?")
async def teacher(user_id: UUID, session: Session, vps: CurrentVps) -> contract.TeacherAnswer:
    return await actions.answer_teacher(session, user_id, vps.settings.followers_required)


@router.post(contract.UPLOAD_RIGHTS, summary="May this user upload into this lesson?")
async def upload_rights(question: contract.UploadQuestion, session: Session, vps: CurrentVps) -> contract.UploadAnswer:
    return await actions.answer_upload(session, question, vps.settings.followers_required)


@router.post(contract.DELETIONS, summary="Delete a course or a video; the VPS decides")
async def deletions(question: contract.DeletionQuestion, session: Session) -> contract.DeletionAnswer:
    return await actions.agree_to_deletion(session, question)


@router.post(contract.EVENTS, summary="Something happened to a video on a node")
async def events(node_id: CallingNode, event: contract.Event, session: Session) -> contract.EventAnswer:
    return await actions.receive_event(session, node_id, event)


@router.get(contract.CHANGES, summary="Changes of rights since a position")
async def list_changes(
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
