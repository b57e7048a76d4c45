from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute
from starlette.types import Scope

from shared import health as liveness
from shared import problems
from shared.contract import INTERNAL, VPS
from shared.cors import let_pages_read
from shared.jobs import running
from shared.logs import RequestLog
from shared.schemas import CONVENTIONS
from shared.service_tokens import ServiceSigner
from shared.serving import BodyLimit
from shared.tokens import public_jwk
from vps_service import health, jobs, metrics
from vps_service.accounts import pages
from vps_service.accounts import routes as accounts
from vps_service.accounts.images import ImageStore
from vps_service.accounts.passwords import Hasher
from vps_service.accounts.sealing import CodesKey
from vps_service.accounts.verified import VerifiedTokens
from vps_service.admin import routes as admin
from vps_service.audit import routes as audit
from vps_service.clients import TrueClient
from vps_service.community import routes as community
from vps_service.courses import routes as courses
from vps_service.db import Sessions
from vps_service.documented import errors_before
from vps_service.followers import routes as followers
from vps_service.headers import protect_answers
from vps_service.internal import routes as internal
from vps_service.keys import routes as keys
from vps_service.leaving import routes as leaving
from vps_service.listener import Listener
from vps_service.nodes import routes as nodes
from vps_service.nodes.calling import SignedAnswers
from vps_service.payments import routes as payments
from vps_service.payments.providers import Provider
from vps_service.payments.simulator_provider import SimulatorProvider
from vps_service.phones import routes as phones
from vps_service.phones.senders import LocalSender, PhoneSender
from vps_service.profiles import routes as profiles
from vps_service.settings import VpsSettings
from vps_service.turns import Turns
from vps_service.vps import Vps

FORM_OVERHEAD = 64 * 1024
JSON_BYTES = 256 * 1024
"""The 20,000 letters that a course's description may have are 240,000 bytes where a client escapes each."""
TOLD_BY_NODES_BYTES = 8 * 2**20
SENT_BY_PAGES = ("Authorization", "Content-Type", "Idempotency-Key", "X-Request-ID")
READ_BY_PAGES = ("Location", "Retry-After", "X-Request-ID")


FEATURES = (accounts, phones, profiles, followers, courses, community, payments, keys, leaving, nodes, admin, audit)


def _make_routes() -> list[BaseRoute]:
    api = APIRouter(generate_unique_id_function=lambda route: route.name)
    for feature in (*FEATURES, internal, liveness, health, metrics):
        api.include_router(feature.router)
    api.include_router(accounts.public)
    api.include_router(pages.router)
    return api.routes


ROUTES = _make_routes()
"""Once a process, however many apps it makes: what FastAPI works out about each at the first request, it keeps here."""


def make_provider(settings: VpsSettings) -> Provider | None:
    """The payment provider that this platform offers, if any."""
    if settings.payment_provider and settings.simulator_secret:
        return SimulatorProvider(settings.simulator_url, settings.simulator_secret.get_secret_value())
    return None


def make_phones(settings: VpsSettings) -> PhoneSender | None:
    """The way to phones that this platform has, if any."""
    if settings.phone_provider == "local" and settings.smtp_host:
        return LocalSender(settings.smtp_host, settings.smtp_port)
    return None


def body_limit(form_bytes: int) -> Callable[[Scope], int]:
    """How large a body may be. Only a form has a picture in it, and only nodes tell of all that they hold: to take JSON
    apart and say of each field what is wrong with it keeps everybody else waiting.
    """

    def limit(scope: Scope) -> int:
        if scope["path"].startswith(f"{INTERNAL}/"):
            return TOLD_BY_NODES_BYTES
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        return form_bytes if kind.lower().startswith(b"multipart/form-data") else JSON_BYTES

    return limit


def create_vps(settings: VpsSettings) -> Vps:
    access_key = settings.access_key.public_key()
    access_keys = {public_jwk(access_key)["kid"]: access_key}
    return Vps(
        settings=settings,
        hasher=Hasher(settings.bcrypt_cost, settings.hashes_waiting),
        images=ImageStore(settings.data_dir / "images"),
        access_keys=access_keys,
        access_tokens=VerifiedTokens(access_keys),
        provider=make_provider(settings),
        phones=make_phones(settings),
        codes_key=CodesKey(settings.codes_key.get_secret_value()),
        listener=Listener(settings),
        follows=Turns(),
    )


def create_app(settings: VpsSettings) -> FastAPI:
    """The VPS service; what is long-lived is `app.state.vps` and `app.state.sessions`."""
    vps = create_vps(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        sessions = app.state.sessions = Sessions(settings)
        async with running(
            vps.listener.run(),
            jobs.tidy(sessions),
            jobs.forget_limits(sessions),
            jobs.trim_changes(sessions, settings.changes_kept_days),
            jobs.forget_expired_sessions(sessions),
            jobs.forget_unseen_playbacks(sessions),
            jobs.remove_stray_images(sessions, vps.images),
            jobs.delete_accounts(sessions, vps),
            jobs.recheck_payments(sessions, vps),
            jobs.recheck_paid_payments(sessions, vps),
            jobs.send_mails(sessions, vps),
            jobs.forget_useless_mails(sessions),
            jobs.answer_forgotten_passwords(sessions, vps),
            jobs.forget_old_proofs(sessions),
        ):
            yield
        if vps.provider:
            await vps.provider.close()
        await sessions.close()

    documented = settings.environment != "production"
    app = FastAPI(
        title="TopTank VPS",
        version="1",
        summary="Users, courses, payments and keys.",
        description=CONVENTIONS,
        lifespan=lifespan,
        openapi_url="/openapi.json" if documented else None,
        redirect_slashes=False,  # the redirect would lead to whatever the Host header says
        routes=ROUTES,
    )
    app.state.vps = vps
    problems.install(app, errors_before)
    health.answer_database_failures(app)
    app.add_middleware(BodyLimit, limit=body_limit(settings.image_bytes + FORM_OVERHEAD))
    app.add_middleware(SignedAnswers, signer=ServiceSigner(VPS, settings.vps_key))
    app.add_middleware(RequestLog)
    app.add_middleware(TrueClient, trusted=settings.trusted_proxies)
    let_pages_read(app, settings.cors_origins, sent=SENT_BY_PAGES, read=READ_BY_PAGES)
    protect_answers(app, over_tls=settings.vps_url.startswith("https://"))
    return app
