from fastapi import APIRouter, Depends

from cloud_service.node import CurrentNode
from shared.contract import NODE_STATUS, NodeStatus
from shared.peer import calling_peer
from shared.problems import NotAuthenticated, responses

router = APIRouter(tags=["internal"], dependencies=[Depends(calling_peer)])


@router.get(NODE_STATUS, summary="How is this node doing?", responses=responses(NotAuthenticated))
async def status(node: CurrentNode) -> NodeStatus:
    """For the VPS only."""
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
