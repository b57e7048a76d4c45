"""Who the VPS calls is in its settings, and nobody whom it calls sends it on to somebody else (abuse case 55)."""

from pathlib import Path

import pytest

from tests.canary import Canary
from tests.settings import vps_settings
from tests.vps.people import make_student, make_teacher, order, published_course, refused
from tests.vps.running import running

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_provider_that_redirects_leads_nowhere(
    database_url: str, secrets_folder: Path, tmp_path: Path, status: str
) -> None:
    with Canary() as elsewhere:
        redirect = (
            f"HTTP/1.1 {status}\r\nLocation: {elsewhere.url}/steal\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        with Canary(redirect.encode()) as provider:
            settings = vps_settings(database_url, secrets_folder, tmp_path, simulator_url=provider.url)
            async with running(settings, secrets_folder) as vps:
                course = await published_course(vps, await make_teacher(vps))
                refused(await order(await make_student(vps), course), 503, "provider_unreachable")
            assert provider.heard
        assert elsewhere.heard == []
