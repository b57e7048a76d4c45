"""nginx and Caddy as they send files to anyone, and as what stands before a node, with the operator's configuration."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.beside import Beside, Server, listens, running, wait_for
from tests.both.edges import program, running_edge
from tests.processes import free_port

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 2048; }}
http {{
    access_log {folder}/access.log; sendfile on; tcp_nopush on; keepalive_requests 1000000;
    server {{ listen 127.0.0.1:{port}; root {files}; }}
}}
"""
"""One process, as a node is; it keeps its log, as it does before a node."""
CADDY = """
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    root * {files}
    file_server
}}
"""
PROGRAMS = ("nginx", "caddy")


def installed() -> list[str]:
    """Says so of those that are not."""
    found = [name for name in PROGRAMS if program(name)]
    for name in set(PROGRAMS).difference(found):
        print(f"{name} is not installed: the figures that need it are left out")
    return found


@contextmanager
def static(name: str, folder: Path, files: Path) -> Iterator[Server]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    configuration = folder / f"{name}.static"
    written = {"nginx": NGINX, "caddy": CADDY}[name].format(folder=folder, port=port, files=files)
    configuration.write_text(written)
    found = program(name)
    assert found
    commands: dict[str, list[str | Path]] = {
        "nginx": [found, "-p", folder, "-c", configuration, "-e", folder / "nginx.err"],
        "caddy": [found, "run", "--config", configuration, "--adapter", "caddyfile"],
    }
    with running(commands[name], None, folder / "log") as pid:
        wait_for(lambda: listens(url), folder / "log")
        yield Server(url, (pid,))


@contextmanager
def before(name: str, folder: Path, vps: str, node: Beside) -> Iterator[Server]:
    ports = (urlsplit(url).port for url in (vps, node.url))
    vps_port, cloud_port = (port or 80 for port in ports)
    with running_edge(name, folder, vps_port, cloud_port, node.folder / "media") as edge:
        yield Server(edge.cloud, (*node.pids, edge.pid))
