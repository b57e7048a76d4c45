from uuid import UUID

from fastapi import APIRouter

from shared.problems import NotAuthenticated, responses
from vps_service.accounts.current import CurrentAdmin
from vps_service.accounts.errors import WrongRole
from vps_service.db import Session, Transactions
from vps_service.keys.actions import void_free_key
from vps_service.keys.errors import KeyWasPaid, NoSuchKey
from vps_service.keys.schemas import KeyOut
from vps_service.payments import errors, refunds
from vps_service.payments.schemas import PaymentOut
from vps_service.vps import CurrentVps

router = APIRouter()


@router.post(
    "/payments/{payment_id}/refund",
    summary="Give a buyer the money back",
    responses=responses(
        NotAuthenticated,
        WrongRole,
        errors.PaymentNotFound,
        errors.PaymentNotPaid,
        errors.PaymentMismatch,
        errors.RefundRefused,
        errors.ProviderNotOffered,
        errors.ProviderConfused,
        errors.ProviderUnreachable,
    ),
)
async def refund_payment(payment_id: UUID, admin: CurrentAdmin, sessions: Transactions, vps: CurrentVps) -> PaymentOut:
    """The key is void, and the teacher's balance is debited by what the sale credited. Safe to repeat."""
    fee = vps.settings.platform_fee_percent
    return PaymentOut.from_row(await refunds.refund_payment(sessions, vps.provider, admin, payment_id, fee))


@router.post(
    "/keys/{key_id}/void",
    summary="Take a free enrolment away",
    responses=responses(NotAuthenticated, WrongRole, NoSuchKey, KeyWasPaid),
)
async def void_key(key_id: UUID, admin: CurrentAdmin, session: Session) -> KeyOut:
    """The user may enrol again while the course is free."""
    return KeyOut.model_validate(await void_free_key(session, admin, key_id))
