"""`GET /metrics`: how fresh the node's rights are and what it has still to tell, in Prometheus' text format.

Not for the public's eyes.
"""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest

from cloud_service.node import CurrentNode, DatabaseUnusable
from cloud_service.processing.queue import workload
from shared.problems import responses

router = APIRouter(tags=["service"])

feed_lag = Gauge("toptank_feed_lag", "Changes of rights that are known of and still to be applied")
trust_age = Gauge("toptank_trust_age_seconds", "Age of what the node knows of rights")
outbox_depth = Gauge("toptank_outbox_depth", "Events that the VPS has still to hear")
outbox_age = Gauge("toptank_outbox_age_seconds", "Age of the oldest of them")
outbox_set_aside = Gauge("toptank_outbox_set_aside", "Events that the VPS could not understand")
clock_skew = Gauge("toptank_clock_skew_seconds", "How far this machine's clock is ahead of the VPS's")
grants = Gauge("toptank_grants", "Rights that are remembered")
videos = Gauge("toptank_videos", "Videos that are stored here")
jobs_waiting = Gauge("toptank_jobs_waiting", "Videos that wait to be processed")
jobs_running = Gauge("toptank_jobs_running", "Videos that are being processed")
jobs_oldest = Gauge("toptank_jobs_oldest_seconds", "How long the oldest of those that wait has done so")
videos_failed = Gauge("toptank_videos_failed", "Videos that could not be processed")


@router.get(
    "/metrics", summary="Figures for Prometheus", response_class=Response, responses=responses(DatabaseUnusable)
)
async def show_metrics(node: CurrentNode) -> Response:
    backlog = await node.outbox.backlog()
    feed_lag.set(node.feed.lag)
    trust_age.set(node.freshness.age_s())
    outbox_depth.set(backlog.depth)
    outbox_age.set(backlog.age_s)
    outbox_set_aside.set(backlog.set_aside)
    clock_skew.set(node.clock.skew_s() or 0)
    grants.set(len(node.rights))
    videos.set(len(node.catalogue))
    load = await workload(node.database)
    jobs_waiting.set(load.waiting)
    jobs_running.set(load.running)
    jobs_oldest.set(load.oldest_s)
    videos_failed.set(load.failed)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
