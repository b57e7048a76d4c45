"""Everything that our programs import, and what they find out about their routes at the first request."""

import anyio._backends._asyncio
import httpcore
import pytest
import uvicorn.lifespan.on
import uvicorn.loops.uvloop

import cloud_service.__main__
import cloud_service.processing.__main__
import vps_service.__main__
import vps_service.catcher.__main__
import vps_service.simulator.__main__
from cloud_service.app import ROUTES as CLOUD_ROUTES
from vps_service.app import ROUTES as VPS_ROUTES

__all__ = ["anyio", "cloud_service", "httpcore", "pytest", "uvicorn", "vps_service"]

for route in (*CLOUD_ROUTES, *VPS_ROUTES):
    route.matches({"type": "http", "method": "GET", "path": "/nowhere", "root_path": "", "headers": []})
