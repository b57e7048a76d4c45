import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from shared import contract
from shared.posters import POSTERS, PostersAnswer, PostersQuestion
from shared.problems import NotAuthenticated, responses
from shared.serving import is_stopping
from shared.tokens import public_jwk
from vps_service import changes
from vps_service.db import Session, Transactions
from vps_service.internal import actions, reconcile, uploads
from vps_service.nodes import actions as nodes
from vps_service.nodes.calling import calling_node
from vps_service.vps import CurrentVps

router = APIRouter(tags=["internal"], dependencies=[Depends(calling_node)], responses=responses(NotAuthenticated))
CallingNode = Annotated[str, Depends(calling_node)]


@router.get(contract.ACCESS_KEYS, summary="The keys that verify access tokens")
async def list_access_keys(vps: CurrentVps) -> contract.Jwks:
    return contract.Jwks(keys=[public_jwk(key) for key in vps.access_keys.values()])


@router.post(contract.ACCESS, summary="May this user watch this video?")
async def access(question: contract.AccessQuestion, session: Session, vps: CurrentVps) -> contract.AccessAnswer:
    return await actions.answer_access(session, question, vps.settings)


@router.post(POSTERS, summary="May anybody see the posters of this course's videos?")
async def posters(question: PostersQuestion, session: Session) -> PostersAnswer:
    return await actions.answer_posters(session, question)


@router.post(contract.STANDING, summary="What is this teacher's standing?")
async def standing(question: contract.StandingQuestion, session: Session, vps: CurrentVps) -> contract.StandingAnswer:
    return await actions.answer_standing(session, question, vps.settings.followers_required)


@router.post(contract.UPLOAD_RIGHTS, summary="May this user upload this, and to where?")
async def upload_rights(
    node_id: CallingNode, question: contract.UploadQuestion, session: Session, vps: CurrentVps
) -> contract.UploadAnswer:
    return await uploads.answer_upload(session, node_id, question, vps.settings)


@router.post(contract.DELETIONS, summary="Delete a course or a video; the VPS decides")
async def deletions(question: contract.DeletionQuestion, session: Session, vps: CurrentVps) -> contract.DeletionAnswer:
    return await actions.agree_to_deletion(session, question, vps.settings)


@router.post(contract.EVENTS, summary="Something happened to a video or a playback on a node")
async def events(
    node_id: CallingNode, event: contract.Event, session: Session, vps: CurrentVps
) -> contract.EventAnswer:
    return await actions.receive_event(session, node_id, event, vps.settings)


@router.get(contract.CHANGES, summary="Changes of rights since a position")
async def list_changes(
    request: Request,
    sessions: Transactions,
    vps: CurrentVps,
    after: Annotated[int | None, Query(ge=0)] = None,
    epoch: UUID | None = None,
    mark: UUID | None = None,
    wait_s: Annotated[float, Query(ge=0, le=30)] = 0,
) -> contract.Changes:
    """Waits up to `wait_s` for the first change, so that a node hears of it at once and asks rarely."""
    now = asyncio.get_running_loop().time
    deadline = now() + wait_s
    while True:
        news = vps.listener.next_news()
        async with sessions() as session, session.begin():
            found = await changes.since(session, after, epoch, mark)
        left = deadline - now()
        if found.items or found.reset or left <= 0 or is_stopping() or await request.is_disconnected():
            return found
        await vps.listener.wait(news, left)


@router.post(contract.REPORTS, summary="A node describes itself")
async def report(node_id: CallingNode, told: contract.NodeReport, session: Session) -> contract.NodeOrders:
    return await nodes.receive_report(session, node_id, told)


@router.post(contract.RECONCILE_COURSES, summary="About which courses do we differ?")
async def compare_courses(
    node_id: CallingNode, held: contract.CoursesHeld, session: Session
) -> contract.CoursesCompared:
    return await reconcile.compare_courses(session, node_id, held)


@router.post(contract.RECONCILE_VIDEOS, summary="What is to be done about this course's videos?")
async def compare_videos(node_id: CallingNode, held: contract.VideosHeld, session: Session) -> contract.VideosCompared:
    return await reconcile.compare_videos(session, node_id, held)


@router.post(contract.RECONCILE_GRANTS, summary="Which of these grants would not be given now?")
async def compare_grants(held: contract.GrantsHeld, session: Session) -> contract.GrantsCompared:
    return await reconcile.compare_grants(session, held)


@router.post(contract.RECONCILED, summary="A node has compared everything")
async def reconciled(node_id: CallingNode, found: contract.Reconciliation, session: Session) -> contract.Received:
    await nodes.record_reconciliation(session, node_id, found)
    return contract.Received()
