from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Request

from shared.problems import NotAuthenticated, TooLarge, TooSlow, responses
from shared.schemas import Page, Text
from vps_service import paging
from vps_service.accounts.current import CurrentLearner, CurrentUser
from vps_service.accounts.errors import WrongRole
from vps_service.courses.errors import CourseNotFound
from vps_service.courses.links import video_links
from vps_service.db import Session, Transactions
from vps_service.keys.errors import AlreadyOwned, OwnCourse
from vps_service.keys.schemas import KeyOut
from vps_service.payments import actions, errors, queries
from vps_service.payments.schemas import PaymentCheck, PaymentOut, Purchase
from vps_service.payments.webhooks import receive_webhook
from vps_service.vps import CurrentVps

router = APIRouter(prefix="/api/payments", tags=["payments"])

IdempotencyKey = Annotated[str | None, Header(min_length=8, max_length=200)]


@router.post(
    "",
    status_code=201,
    summary="Buy a course",
    responses=responses(
        NotAuthenticated,
        WrongRole,
        CourseNotFound,
        AlreadyOwned,
        OwnCourse,
        errors.CourseIsFree,
        errors.ProviderNotOffered,
        errors.IdempotencyKeyReused,
        errors.ProviderConfused,
        errors.ProviderUnreachable,
    ),
)
async def create_payment(
    purchase: Purchase,
    buyer: CurrentLearner,
    sessions: Transactions,
    vps: CurrentVps,
    idempotency_key: IdempotencyKey = None,
) -> PaymentOut:
    """A pending payment and what to do to pay it. Asking again while it is pending answers the same payment."""
    payment = await actions.buy_course(
        sessions,
        vps.provider,
        buyer,
        purchase.course_id,
        provider_name=purchase.provider,
        idempotency_key=idempotency_key,
    )
    return PaymentOut.from_row(payment)


@router.post(
    "/{payment_id}/verify",
    summary="Ask the provider whether it was paid",
    responses=responses(
        NotAuthenticated,
        errors.PaymentNotFound,
        errors.PaymentMismatch,
        errors.ProviderNotOffered,
        errors.ProviderConfused,
        errors.ProviderUnreachable,
    ),
)
async def verify_payment(payment_id: UUID, buyer: CurrentUser, sessions: Transactions, vps: CurrentVps) -> PaymentCheck:
    """Safe to repeat: one payment gives one key."""
    payment, key = await actions.verify_payment(
        sessions, vps.provider, buyer, payment_id, vps.settings.platform_fee_percent
    )
    async with sessions() as session:
        opened = key is not None and key.is_active
        videos = await video_links(session, payment.course_id) if opened else []
    return PaymentCheck(
        payment=PaymentOut.from_row(payment), key=KeyOut.model_validate(key) if key else None, videos=videos
    )


@router.post(
    "/webhooks/{provider}",
    status_code=204,
    summary="A payment provider says that something happened",
    responses=responses(errors.BadWebhook, errors.ProviderConfused, errors.ProviderUnreachable, TooSlow, TooLarge),
)
async def webhook(provider: Text, request: Request, sessions: Transactions, vps: CurrentVps) -> None:
    """Signed by the provider, who is then asked what is the case. 204 also for a checkout that is not ours."""
    body, fee = await request.body(), vps.settings.platform_fee_percent
    await receive_webhook(sessions, vps.provider, provider, request.headers, body, fee)


@router.get("", summary="My payments, newest first", responses=responses(NotAuthenticated))
async def list_payments(
    buyer: CurrentUser, session: Session, limit: paging.Limit = 20, cursor: paging.Cursor = None
) -> Page[PaymentOut]:
    rows = await queries.payments_of(session, buyer, after=paging.after(cursor), limit=limit)
    return paging.page(rows, limit, PaymentOut.from_row)
