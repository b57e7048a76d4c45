"""The mail catcher: it takes every mail, shows it whatever is in it, and sends it to nobody."""

import smtplib
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

from tests.catcher import Catcher
from tests.processes import free_port, run

EVIL = """<script>alert(1)</script><img src=x onerror=alert(1)> "'> javascript:alert(1) https://a.example/"onclick=x"""


@pytest.fixture(scope="module")
def catcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catcher]:
    catcher = Catcher(tmp_path_factory.mktemp("catcher"))
    catcher.start()
    yield catcher
    catcher.stop()


def mail(to: str, subject: str = "Hello", text: str = "Open https://courses.example/x#token=abc.") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "no-reply@example.com", to, subject
    message.set_content(text)
    return message


def send(catcher: Catcher, *messages: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", catcher.smtp_port) as smtp:
        for message in messages:
            smtp.send_message(message)


def test_a_mail_is_told_and_shown_with_its_links(catcher: Catcher) -> None:
    send(catcher, mail("sara@example.com"), mail("omar@example.com", "تأكيد", "مرحبا"))
    (told,) = catcher.mails("Sara@example.com")
    assert (told["subject"], told["recipients"]) == ("Hello", ["sara@example.com"])
    assert told["links"] == ["https://courses.example/x#token=abc"]
    assert [mail["subject"] for mail in catcher.mails()][:2] == ["تأكيد", "Hello"]
    listed = httpx.get(f"{catcher.url}/", follow_redirects=True).text
    assert f'<a href="/mails/{told["id"]}">Hello</a>' in listed
    shown = httpx.get(f"{catcher.url}/mails/{told['id']}").text
    assert '<a href="https://courses.example/x#token=abc" rel="noreferrer">' in shown


def test_whatever_is_in_a_mail_nothing_of_it_runs(catcher: Catcher) -> None:
    send(catcher, mail("evil@example.com", EVIL, EVIL))
    with smtplib.SMTP("127.0.0.1", catcher.smtp_port) as smtp:
        smtp.sendmail("x@example.com", "evil@example.com", b"\xff\xfe junk <script>alert(1)</script>")
        smtp.sendmail(
            "x@example.com",
            "evil@example.com",
            b"Subject: =?utf-8?B?////?=\r\nContent-Type: text/html; charset=nonsense\r\n\r\n<script>x</script>\r\n",
        )
    mails = catcher.mails("evil@example.com")
    assert len(mails) == 3
    pages = [f"{catcher.url}/mails", *(f"{catcher.url}/mails/{told['id']}" for told in mails)]
    for page in pages:
        answer = httpx.get(page)
        assert answer.status_code == 200
        for tag in ("<script", "<img", 'href="javascript', 'onclick=x"'):
            assert tag not in answer.text
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe" not in policy
    raw = httpx.get(f"{catcher.url}/mails/{mails[0]['id']}/raw")
    assert raw.headers["content-type"].startswith("text/plain")
    assert raw.headers["x-content-type-options"] == "nosniff"


def test_a_mail_that_is_not_there_is_404(catcher: Catcher) -> None:
    for path in ("/mails/999999", "/mails/999999/raw"):
        answer = httpx.get(f"{catcher.url}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "mail_not_found")


def test_a_restart_forgets_no_mail_and_the_oldest_make_room(tmp_path: Path) -> None:
    catcher = Catcher(tmp_path)
    catcher.start()
    send(catcher, *(mail("sara@example.com", f"number {number}") for number in range(5)))
    catcher.stop()
    catcher.start(TOPTANK_CATCHER_MAILS="3")
    try:
        assert [told["subject"] for told in catcher.mails()] == [f"number {number}" for number in (4, 3, 2, 1, 0)]
        send(catcher, mail("sara@example.com", "number 5"))
        assert [told["subject"] for told in catcher.mails()] == ["number 5", "number 4", "number 3"]
    finally:
        catcher.stop()


def test_it_refuses_production(tmp_path: Path) -> None:
    ended = run(
        "vps_service.catcher", environment=Catcher(tmp_path).environment | {"TOPTANK_ENVIRONMENT": "production"}
    )
    assert (ended.returncode, ended.stderr) == (1, "toptank: the mail catcher refuses to run in production\n")


@pytest.mark.parametrize("setting", ["TOPTANK_CATCHER_PORT", "TOPTANK_CATCHER_SMTP_PORT"])
def test_a_busy_port_is_one_line(tmp_path: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = str(taken.getsockname()[1])
        ended = run("vps_service.catcher", environment=Catcher(tmp_path).environment | {setting: port})
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert f"127.0.0.1:{port}" in line
    assert setting in line
