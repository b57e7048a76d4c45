from fastapi import APIRouter, Request

from cloud_service.node import CurrentNode
from shared.contract import NODE_STATUS, NodeStatus
from shared.problems import NotAuthenticated, responses
from shared.service_calls import calling_peer

router = APIRouter(tags=["internal"])


@router.get(NODE_STATUS, summary="How is this node doing?", responses=responses(NotAuthenticated))
async def status(node: CurrentNode, request: Request) -> NodeStatus:
    """For the VPS only."""
    await calling_peer(request, request.app.state.service_verifier)
    return NodeStatus(
        node=node.settings.node_id,
        videos=len(node.catalogue),
        bytes_stored=sum(video.size for video in node.catalogue),
        bytes_free=node.store.bytes_free(),
        grants=len(node.rights),
        outbox=await node.outbox.depth(),
        feed_position=node.rights.position,
        feed_age_s=round(node.feed.age_s(), 3) if node.feed.was_pulled else None,
    )
