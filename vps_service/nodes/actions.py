import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from sqlalchemy import delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contract import VPS, NodeOrders, NodeReport, Reconciliation
from shared.problems import Invalid
from shared.tokens import load_public_keys, public_jwk
from vps_service.accounts.models import User
from vps_service.audit import actions as audit
from vps_service.courses.queries import owned_lesson
from vps_service.nodes import queries, rules
from vps_service.nodes.errors import NoNodeAvailable
from vps_service.nodes.models import Node, NodeKey, SpentToken

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


async def admit_node(session: AsyncSession, node_id: str, pems: str) -> None:
    """From now on calls signed with these keys, and no others, are the node's. Raises Invalid."""
    if not NAME.fullmatch(node_id) or node_id == VPS:
        raise Invalid("a node's name is made of letters a to z, digits and hyphens")
    try:
        keys = load_public_keys(pems)
    except ValueError as error:
        raise Invalid(f"the key cannot be read: {error}") from None
    await session.execute(insert(Node).values(id=node_id).on_conflict_do_nothing())
    await session.execute(delete(NodeKey).where(NodeKey.node_id == node_id))
    for key in keys:
        pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        row = insert(NodeKey).values(kid=public_jwk(key)["kid"], node_id=node_id, pem=pem)
        if (await session.execute(row.on_conflict_do_nothing().returning(NodeKey.kid))).one_or_none() is None:
            raise Invalid("another node has this key already")
    await audit.record(session, "node_admitted", subject=node_id, keys=[public_jwk(key)["kid"] for key in keys])


async def shut_out_node(session: AsyncSession, node_id: str) -> None:
    """Its keys open nothing any more; what it holds stays known. Raises Invalid for an unknown node."""
    if await session.get(Node, node_id) is None:
        raise Invalid(f"there is no node {node_id}")
    await session.execute(delete(NodeKey).where(NodeKey.node_id == node_id))
    await audit.record(session, "node_shut_out", subject=node_id)


async def receive_report(session: AsyncSession, node_id: str, report: NodeReport) -> NodeOrders:
    node = await session.get_one(Node, node_id, with_for_update={"key_share": True})
    node.seen_at, node.url = datetime.now(UTC), report.url
    node.report = report.model_dump(mode="json", exclude={"url"})
    return NodeOrders(reconcile=node.reconcile_order if node.reconcile_order > node.reconciled_order else 0)


async def order_reconciliation(session: AsyncSession) -> Sequence[Node]:
    """Every node is to compare itself with this VPS; the nodes, with the order that each has to fulfil."""
    await session.execute(update(Node).values(reconcile_order=Node.reconcile_order + 1))
    return await queries.admitted_nodes(session)


async def record_reconciliation(session: AsyncSession, node_id: str, found: Reconciliation) -> None:
    node = await session.get_one(Node, node_id, with_for_update={"key_share": True})
    node.reconciled_at = datetime.now(UTC)
    node.reconciled_order = max(node.reconciled_order, found.order)
    node.reconciliation = reported(found)


def reported(found: Reconciliation) -> dict[str, Any]:
    return found.model_dump(mode="json", exclude={"order"})


async def place_upload(session: AsyncSession, teacher: User, lesson_id: UUID) -> Node:
    """The node that takes this lesson's video. Raises LessonNotFound, NoNodeAvailable."""
    lesson = await owned_lesson(session, teacher, lesson_id)
    return await _choose(session, await queries.videos_by_node(session, lesson.course_id))


async def place_practice_upload(session: AsyncSession, user: User) -> Node:
    """The node that takes this user's next practice video. Raises NoNodeAvailable."""
    return await _choose(session, await queries.practice_videos_by_node(session, user.id))


async def _choose(session: AsyncSession, held: Mapping[str, int]) -> Node:
    node = rules.choose(await queries.admitted_nodes(session), held, datetime.now(UTC))
    if node is None:
        raise NoNodeAvailable
    return node


async def forget_spent_tokens(session: AsyncSession) -> None:
    """Those that nobody would accept any more for their age, with a minute to spare."""
    over = func.extract("epoch", func.now()) - 60
    await session.execute(delete(SpentToken).where(SpentToken.expires_at < over))
