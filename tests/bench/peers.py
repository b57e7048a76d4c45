"""nginx and Caddy as they send files to anyone, and as what stands before a node, with the operator's configuration."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.beside import Beside, Server, listens, running, wait_for
from tests.bench.load import let_open_files
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
CADDY_WITH_TLS = """
{{
    admin off
    skip_install_trust
    auto_https disable_redirects
}}
https://localhost:{port} {{
    root * {files}
    file_server
}}
"""
PROGRAMS = {"nginx": "nginx", "caddy": "caddy", "https": "caddy"}
"""What each is."""


def installed() -> list[str]:
    """Says so of those that are not."""
    found = [name for name, needed in PROGRAMS.items() if program(needed)]
    for missing in {needed for name, needed in PROGRAMS.items() if name not in found}:
        print(f"{missing} is not installed: the figures that need it are left out")
    return found


@contextmanager
def static(name: str, folder: Path, files: Path) -> Iterator[Server]:
    port = free_port()
    url = f"https://localhost:{port}" if name == "https" else f"http://127.0.0.1:{port}"
    configuration = folder / f"{name}.static"
    template = {"nginx": NGINX, "caddy": CADDY, "https": CADDY_WITH_TLS}[name]
    configuration.write_text(template.format(folder=folder, port=port, files=files))
    found = program(PROGRAMS[name])
    assert found
    commands: dict[str, list[str | Path]] = {
        "nginx": [found, "-p", folder, "-c", configuration, "-e", folder / "nginx.err"],
        "caddy": [found, "run", "--config", configuration, "--adapter", "caddyfile"],
    }
    with running(commands[PROGRAMS[name]], os.environ | {"XDG_DATA_HOME": str(folder)}, folder / "log") as pid:
        wait_for(lambda: listens(url), folder / "log")
        let_open_files(pid)
        yield Server(url, (pid,))


@contextmanager
def before(name: str, folder: Path, vps: str, node: Beside) -> Iterator[Server]:
    ports = (urlsplit(url).port for url in (vps, node.url))
    vps_port, cloud_port = (port or 80 for port in ports)
    with running_edge(name, folder, vps_port, cloud_port, node.folder / "media") as edge:
        wait_for(lambda: listens(edge.cloud), folder / f"{name}.log")
        let_open_files(edge.pid)
        yield Server(edge.cloud, (*node.pids, edge.pid))
