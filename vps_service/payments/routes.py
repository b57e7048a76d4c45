from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Request

from shared.problems import NotAuthenticated, responses
from shared.schemas import Money, Page
from vps_service import paging
from vps_service.accounts.current import CurrentLearner, CurrentUser, WrongRole
from vps_service.courses.links import video_links
from vps_service.courses.queries import CourseNotFound
from vps_service.db import Session, Transactions
from vps_service.keys.enroll import AlreadyOwned, OwnCourse
from vps_service.keys.schemas import KeyOut
from vps_service.payments import actions, queries
from vps_service.payments.models import Payment
from vps_service.payments.providers import ProviderUnreachable
from vps_service.payments.schemas import PaymentOut, Purchase, Redirect, Verified

router = APIRouter(prefix="/api/payments", tags=["payments"])

IdempotencyKey = Annotated[str | None, Header(min_length=8, max_length=200)]


def payment_out(payment: Payment) -> PaymentOut:
    pays_at = payment.checkout_url if payment.status == "pending" else None
    return PaymentOut(
        id=payment.id,
        course_id=payment.course_id,
        provider=payment.provider,
        status=payment.status,
        price=Money(amount=payment.amount, currency=payment.currency),
        action=Redirect(url=pays_at) if pays_at else None,
        created_at=payment.created_at,
        paid_at=payment.paid_at,
    )


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
        actions.CourseIsFree,
        actions.ProviderNotOffered,
        actions.IdempotencyKeyReused,
        ProviderUnreachable,
    ),
)
async def create_payment(
    purchase: Purchase,
    buyer: CurrentLearner,
    sessions: Transactions,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> PaymentOut:
    """A pending payment and what to do to pay it. Asking again while it is pending answers the same payment."""
    provider = request.app.state.provider
    payment = await actions.buy_course(
        sessions, provider, buyer, purchase.course_id, asked=purchase.provider, key=idempotency_key
    )
    return payment_out(payment)


@router.post(
    "/{payment_id}/verify",
    summary="Ask the provider whether it was paid",
    responses=responses(
        NotAuthenticated,
        queries.PaymentNotFound,
        actions.PaymentMismatch,
        actions.ProviderNotOffered,
        ProviderUnreachable,
    ),
)
async def verify_payment(payment_id: UUID, buyer: CurrentUser, sessions: Transactions, request: Request) -> Verified:
    """May be asked as often as one likes: one payment gives one key."""
    settings = request.app.state.settings
    payment, key = await actions.verify_payment(
        sessions, request.app.state.provider, buyer, payment_id, settings.platform_fee_percent
    )
    async with sessions() as session:
        opened = key is not None and key.is_active
        videos = await video_links(session, payment.course_id, settings.cloud_url) if opened else []
    return Verified(payment=payment_out(payment), key=KeyOut.model_validate(key) if key else None, videos=videos)


@router.get("", summary="My payments, newest first", responses=responses(NotAuthenticated))
async def list_payments(
    buyer: CurrentUser, session: Session, limit: paging.Limit = 20, cursor: paging.Cursor = None
) -> Page[PaymentOut]:
    rows = await queries.payments_of(session, buyer, after=paging.after(cursor), limit=limit)
    page, following = paging.cut(rows, limit, lambda payment: payment.id)
    return Page(items=[payment_out(payment) for payment in page], next=following)
