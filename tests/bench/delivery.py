"""What it costs to deliver a film by signed links, against nginx and Caddy that send the same file to anyone.

Only the servers' processor time counts, of all processes that have a part in it. What most people would write stands
beside it: Starlette's FileResponse behind the same check.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.bench import load
from tests.bench.beside import Server
from tests.bench.figures import ALTERNATIONS, Figure

MIB, GIB = 2**20, 2**30
SECONDS = 1.5
SIZES = (MIB, 4 * MIB)

Paths = Sequence[tuple[str, Mapping[str, str]]]
"""With the headers that go with each."""


@dataclass(frozen=True)
class Way:
    """By which the film is delivered, and to whom: `paths` (with what else is sent) are gone through by turns.

    `peer` is the way that it is measured against. `aims` are for the ratio of processor time, by the size of segments;
    `least` is for that of requests a second, of the smallest.
    """

    server: Server
    paths: Paths
    peer: str | None = None
    aims: tuple[float | None, float | None] = (None, None)
    least: float | None = None


@dataclass(frozen=True)
class Delivered:
    cpu_s_per_gib: float
    mib_per_s: float


def segments(way: Way, film_bytes: int, size: int) -> list[bytes]:
    """Every segment of every path, so that each connection stays with one of them."""
    made = []
    for start in range(0, film_bytes - size + 1, size):
        asked = {"Range": f"bytes={start}-{start + size - 1}"}
        made += [load.request(f"{way.server.url}{path}", {**headers, **asked}) for path, headers in way.paths]
    return made


def deliver(server: Server, requests: Sequence[bytes]) -> Delivered:
    before = server.cpu_s()
    made = load.run(server.url, requests, status=206, seconds=SECONDS)
    spent = server.cpu_s() - before
    return Delivered(spent / made.received * GIB, made.received / MIB / made.seconds)


def measure(ways: Mapping[str, Way], film_bytes: int) -> list[Figure]:
    """In rounds in which each way has a turn, each of them first once."""
    figures = []
    for place, size in enumerate(SIZES):
        requests = {name: segments(way, film_bytes, size) for name, way in ways.items()}
        for name, way in ways.items():
            load.run(way.server.url, requests[name][: 2 * load.CONNECTIONS], status=206, seconds=None)
        rounds = []
        for number in range(ALTERNATIONS):
            first = number % len(ways)
            order = [*list(ways)[first:], *list(ways)[:first]]
            rounds.append({name: deliver(ways[name].server, requests[name]) for name in order})
        figures += [
            figure for name, way in ways.items() if way.peer for figure in _compared(name, way, size, place, rounds)
        ]
    return figures


def _compared(name: str, way: Way, size: int, place: int, rounds: Sequence[Mapping[str, Delivered]]) -> list[Figure]:
    peer = way.peer or name
    aim, least = way.aims[place], way.least if size == SIZES[0] else None

    def of(value: Callable[[Delivered], float], scale: float) -> tuple[float, float, float]:
        """Medians of both, and of the rounds' own ratios."""
        pairs = [(value(made[name]), value(made[peer])) for made in rounds]
        ours, theirs = (statistics.median(side) * scale for side in zip(*pairs, strict=True))
        return round(ours, 1), round(theirs, 1), round(statistics.median(one / other for one, other in pairs), 3)

    about = f"{name}, {size // MIB} MiB, against {peer}"
    cpu, peers_cpu, dearer = of(lambda made: made.cpu_s_per_gib, 1000)
    speed, peers_speed, faster = of(lambda made: made.mib_per_s, 1)
    return [
        Figure(f"CPU a GiB: {about}", cpu, "ms", peers_cpu, dearer, f"<= {aim}" if aim else None),
        Figure(f"throughput: {about}", speed, "MiB/s", peers_speed, faster, f">= {least}" if least else None),
    ]
