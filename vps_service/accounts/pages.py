"""The pages that links in mails lead to, where the operator has no others (`TOPTANK_LINKS_URL`).

Opening one changes nothing: mail programs follow links by themselves. The token stays behind the # of the address, is
taken from there, and goes to the API in a body.
"""

import base64
import hashlib

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter()

STYLE = """body{font:1rem/1.5 sans-serif;max-width:24rem;margin:4rem auto;padding:0 1rem}
input,button{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin:.25rem 0}"""
SCRIPT = """
const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);
const form = document.querySelector("form"), said = document.querySelector("output");
const button = document.querySelector("button");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  const told = Object.fromEntries(new FormData(form));
  if (form.dataset.token) told.token = token || "";
  try {
    const body = JSON.stringify(told), headers = {"Content-Type": "application/json"};
    const answer = await fetch(form.action, {method: "POST", headers, body});
    form.hidden = answer.ok;
    const problem = answer.ok ? {title: form.dataset.done} : await answer.json();
    said.textContent = (problem.errors || []).map((error) => error.message).join(", ") || problem.title;
  } catch {
    said.textContent = "That did not get through. Try again.";
  }
  button.disabled = false;
});
"""
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"><meta name="referrer" content="no-referrer"><style>{style}</style>
<h1>{title}</h1><form action="/api/auth/{to}" {attributes}>{fields}<button>{label}</button></form>
<output role="status"></output><script>{script}</script></html>"""
CHOSEN = """<label>New password <input name="password" type="password" autocomplete="new-password" minlength="8"
required></label>"""
WHO = """<label>E-mail, phone or username <input name="login" autocomplete="username" required></label>"""
PAGES = {
    "verify-email": {
        "title": "Confirm your e-mail address",
        "to": "verify-email",
        "attributes": 'data-token="1" data-done="Your address is confirmed."',
        "fields": "",
        "label": "Confirm",
    },
    "change-email": {
        "title": "Confirm your new e-mail address",
        "to": "change-email",
        "attributes": 'data-token="1" data-done="It is the address of your account now."',
        "fields": "",
        "label": "Confirm",
    },
    "reset-password": {
        "title": "Choose a new password",
        "to": "reset-password",
        "attributes": 'data-token="1" data-done="Your password is changed. Sign in with it."',
        "fields": CHOSEN,
        "label": "Change it",
    },
    "forgot-password": {
        "title": "Forgot your password?",
        "to": "forgot-password",
        "attributes": 'data-done="If there is such an account, a mail with a link is on its way."',
        "fields": WHO,
        "label": "Send me a link",
    },
}


def _hash(inline: str) -> str:
    """As a Content-Security-Policy names what may stand in a page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"


HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src {_hash(SCRIPT)}; style-src {_hash(STYLE)}; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def _shown(page: str) -> HTMLResponse:
    return HTMLResponse(PAGE.format(**PAGES[page], style=STYLE, script=SCRIPT), headers=HEADERS)


@router.get("/verify-email", include_in_schema=False)
async def page_to_verify_email() -> HTMLResponse:
    return _shown("verify-email")


@router.get("/change-email", include_in_schema=False)
async def page_to_change_email() -> HTMLResponse:
    return _shown("change-email")


@router.get("/reset-password", include_in_schema=False)
async def page_to_reset_password() -> HTMLResponse:
    return _shown("reset-password")


@router.get("/forgot-password", include_in_schema=False)
async def page_of_a_forgotten_password() -> HTMLResponse:
    return _shown("forgot-password")
