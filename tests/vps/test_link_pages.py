"""The pages that mailed links lead to."""

import asyncio
import base64
import hashlib
import re
from pathlib import Path

import pytest

from tests.browser import CHROMIUM, Answer, reported_by
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio

PAGES = ("verify-email", "change-email", "reset-password", "forgot-password")


def allowed(inline: str) -> str:
    """As a Content-Security-Policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_runs_its_own_script_and_nothing_else(vps: Vps, page: str) -> None:
    answer = await vps.http.get(f"/{page}")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        (inline,) = re.findall(rf"<{kind}>(.*?)</{kind}>", answer.text, re.DOTALL)
        assert f"{kind}-src {allowed(inline)};" in policy
    assert " on" not in re.sub(r"<script>.*</script>|<style>.*</style>", "", answer.text, flags=re.DOTALL).replace(
        "is on its way", ""
    )
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_says_nothing_of_what_its_address_says(vps: Vps, page: str) -> None:
    plain = (await vps.http.get(f"/{page}")).text
    told = await vps.http.get(f"/{page}?token=%3Cscript%3Ealert(1)%3C/script%3E", headers={"Host": "evil.example"})
    assert told.text == plain


@pytest.mark.parametrize("page", PAGES)
async def test_opening_a_page_changes_nothing(vps: Vps, page: str) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert (await vps.http.request(method, f"/{page}")).status_code == 405


FILLED_IN: dict[str, dict[str, str]] = {
    "verify-email": {},
    "change-email": {},
    "reset-password": {"password": "a slow zither"},
    "forgot-password": {"login": "sara"},
}


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("page", PAGES)
async def test_in_a_browser_the_page_sends_what_the_link_and_the_person_say(
    vps: Vps, page: str, tmp_path: Path
) -> None:
    """Under its own policy, to which only the script that stands in for the person is added."""
    person = "".join(
        f"document.querySelector('[name={name}]').value = '{value}';" for name, value in FILLED_IN[page].items()
    )
    person += "document.querySelector('button').click();"
    answer = await vps.http.get(f"/{page}")
    body = answer.text.replace("</html>", f"<script>{person}</script></html>").encode()
    policy = answer.headers["content-security-policy"].replace("script-src", f"script-src {allowed(person)}")
    shown = Answer(body, {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy})
    address = f"/{page}#token=x-y_z"
    sent = await asyncio.to_thread(reported_by, address, {}, tmp_path, {f"/{page}": lambda _: shown})
    assert sent == FILLED_IN[page] | ({} if page == "forgot-password" else {"token": "x-y_z"})
