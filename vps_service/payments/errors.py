from shared.problems import AppError, Conflict, NotAuthenticated, NotFound, Unavailable


class PaymentNotFound(NotFound):
    code, title = "payment_not_found", "There is no such payment"


class CourseIsFree(Conflict):
    code, title = "course_is_free", "This course is free; enroll instead"


class ProviderNotOffered(Conflict):
    code, title = "provider_not_offered", "This platform does not take payments that way"


class IdempotencyKeyReused(Conflict):
    code, title = "idempotency_key_reused", "This Idempotency-Key was used for another purchase"


class PaymentMismatch(Conflict):
    code, title = "payment_mismatch", "What the provider reports is not what was ordered"


class PaymentNotPaid(Conflict):
    code, title = "payment_not_paid", "Only what was paid can be refunded"


class RefundRefused(Conflict):
    code, title = "refund_refused", "The payment provider does not refund this payment"


class BadWebhook(NotAuthenticated):
    code, title = "bad_webhook", "This message is not signed by the payment provider, or is too old"


class ProviderConfused(AppError):
    status, code, title = 502, "provider_confused", "The payment provider does not know this payment"


class ProviderUnreachable(Unavailable):
    code, title = "provider_unreachable", "The payment provider does not answer"
