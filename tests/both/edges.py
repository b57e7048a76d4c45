"""What an operator puts before both services, Caddy or nginx, as processes with the configurations that we give."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shared.localdb import die_with_parent
from tests.both.people import Person
from tests.both.toptank import TopTank
from tests.processes import POLL_S, START_WITHIN_S, STOP_WITHIN_S, free_port

CONFIGURATIONS = Path(__file__).parents[2] / "cloud_service" / "edge"
EDGES = ("caddy", "nginx")
BEHIND_AN_EDGE = {"TOPTANK_EDGE_SENDS": "true"}
"""What a node is told that has one before it."""
SEARCHED = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
"""Debian has nginx where only root looks for programs."""
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.error.log;
events {{ worker_connections 2048; }}
http {{
    keepalive_requests 1000000;
    client_body_temp_path {folder}/nginx-body; proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi; uwsgi_temp_path {folder}/nginx-uwsgi; scgi_temp_path {folder}/nginx-scgi;
    include {folder}/nginx.toptank.conf;
}}
"""


@dataclass(frozen=True)
class Edge:
    """`vps` and `cloud` are where clients reach the services; `pid` is its only process's."""

    name: str
    folder: Path
    vps: str
    cloud: str
    pid: int = 0

    def at(self, url: str) -> str:
        """The same address of the node, asked of the edge."""
        parts = urlsplit(url)
        return self.cloud + parts.path + (f"?{parts.query}" if parts.query else "")

    def person(self, who: Person) -> Person:
        """The same person, who reaches both services through the edge."""
        return replace(who, vps=replace(who.vps, base=f"{self.vps}/api"), cloud=replace(who.cloud, base=self.cloud))

    def log(self) -> str:
        """All that it wrote."""
        return "".join(path.read_text() for path in self.folder.glob(f"{self.name}*.log"))


def program(name: str) -> str | None:
    """Where it is installed, if it is."""
    return shutil.which(name, path=SEARCHED)


@contextmanager
def edge_before(toptank: TopTank, name: str) -> Iterator[Edge]:
    """Before the VPS and the first node. Skips the test where this edge is not installed."""
    if program(name) is None:
        pytest.skip(f"{name} is not installed")
    ports = toptank.vps.port, toptank.cloud.port
    with running_edge(name, toptank.folder, *ports, toptank.cloud.folder / "media") as edge:
        yield edge


@contextmanager
def running_edge(name: str, folder: Path, vps_port: int, cloud_port: int, media: Path) -> Iterator[Edge]:
    """`media` is the media folder of the node at `cloud_port`; the edge writes into `folder`, its logs as `*.log`."""
    start = {"caddy": _caddy, "https": _caddy_with_tls, "nginx": _nginx}[name]
    edge, command, environment = start(folder, vps_port, cloud_port, media)
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=log, stderr=log, preexec_fn=die_with_parent
        )
    try:
        for url in (edge.vps, edge.cloud):
            _wait_until_it_listens(process, edge, url)
        yield replace(edge, pid=process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], edge: Edge, url: str) -> None:
    parts = urlsplit(url)
    deadline = time.monotonic() + START_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as sock:
            if sock.connect_ex((parts.hostname, parts.port)) == 0:
                return
        time.sleep(POLL_S)
    raise AssertionError(f"{edge.name} did not start: {edge.log()}")


@contextmanager
def caddy_with_tls(toptank: TopTank) -> Iterator[Edge]:
    """Told https:// for both hosts, with certificates of its own for the name localhost."""
    if program("caddy") is None:
        pytest.skip("caddy is not installed")
    ports = toptank.vps.port, toptank.cloud.port
    with running_edge("https", toptank.folder, *ports, toptank.cloud.folder / "media") as edge:
        yield edge


Start = tuple[Edge, list[str | Path], dict[str, str]]


def _caddy(folder: Path, vps_port: int, cloud_port: int, media: Path) -> Start:
    vps, cloud = free_port(), free_port()
    environment = {
        "TOPTANK_VPS_URL": f"http://localhost:{vps}",
        "TOPTANK_CLOUD_URL": f"http://localhost:{cloud}",
        "TOPTANK_EDGE_VPS_PORT": str(vps),
        "TOPTANK_EDGE_CLOUD_PORT": str(cloud),
        "TOPTANK_EDGE_VPS": f"127.0.0.1:{vps_port}",
        "TOPTANK_EDGE_CLOUD": f"127.0.0.1:{cloud_port}",
        "TOPTANK_EDGE_MEDIA": str(media),
        "XDG_DATA_HOME": str(folder / "caddy-data"),
        "XDG_CONFIG_HOME": str(folder / "caddy-config"),
    }
    edge = Edge("caddy", folder, f"http://127.0.0.1:{vps}", f"http://127.0.0.1:{cloud}")
    return (
        edge,
        [_found("caddy"), "run", "--config", CONFIGURATIONS / "Caddyfile", "--adapter", "caddyfile"],
        environment,
    )


def _caddy_with_tls(folder: Path, vps_port: int, cloud_port: int, media: Path) -> Start:
    _, command, environment = _caddy(folder, vps_port, cloud_port, media)
    vps, cloud = (f"https://localhost:{free_port()}" for _ in range(2))
    told = {"TOPTANK_VPS_URL": vps, "TOPTANK_CLOUD_URL": cloud, "TOPTANK_AUTO_HTTPS": "disable_redirects"}
    return Edge("caddy", folder, vps, cloud), command, environment | told


def _nginx(folder: Path, vps_port: int, cloud_port: int, media: Path) -> Start:
    """Both hosts on one port, and told apart by their names, as on an operator's machine."""
    port = free_port()
    vps, cloud = "127.0.0.1", "127.0.0.2"
    edited = (CONFIGURATIONS / "nginx.conf").read_text()
    for told, here in {
        "server 127.0.0.1:8001;": f"server 127.0.0.1:{cloud_port};",
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{vps_port};",
        "listen 80;": f"listen {vps}:{port}; listen {cloud}:{port};",
        "server_name courses.example.org;": f"server_name {vps};",
        "server_name video.example.org;": f"server_name {cloud};",
        "/var/lib/toptank/node-1/media/": f"{media}/",
        "/var/log/nginx/": f"{folder}/nginx.",
    }.items():
        assert told in edited, f"nginx.conf does not say {told}"
        edited = edited.replace(told, here)
    folder.joinpath("nginx.toptank.conf").write_text(edited)
    main = folder / "nginx.conf"
    main.write_text(NGINX.format(folder=folder))
    edge = Edge("nginx", folder, f"http://{vps}:{port}", f"http://{cloud}:{port}")
    return edge, [_found("nginx"), "-p", folder, "-c", main, "-e", folder / "nginx.error.log"], {}


def _found(name: str) -> str:
    found = program(name)
    assert found is not None, f"{name} is not installed"
    return found
