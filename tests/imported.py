"""Everything that our programs import, and what they find out about their routes at the first request."""

import gc

import anyio._backends._asyncio
import httpcore
import pytest
import uvicorn.lifespan.on
import uvicorn.loops.uvloop

import cloud_service.__main__
import cloud_service.processing.__main__
import cloud_service.processing.operator
import vps_service.__main__
import vps_service.accounts.operator
import vps_service.catcher.__main__
import vps_service.followers.seed
import vps_service.nodes.operator
import vps_service.simulator.__main__
from cloud_service.app import ROUTES as CLOUD_ROUTES
from shared.authorities import trusted
from vps_service.app import ROUTES as VPS_ROUTES

__all__ = ["anyio", "cloud_service", "httpcore", "pytest", "uvicorn", "vps_service"]

trusted()
for route in (*CLOUD_ROUTES, *VPS_ROUTES):
    route.matches({"type": "http", "method": "GET", "path": "/nowhere", "root_path": "", "headers": []})

gc.collect()
gc.freeze()  # a collection in what is forked off would look at all of this in vain, and copy it
