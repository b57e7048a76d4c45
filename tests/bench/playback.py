"""Watching by signed links: what it costs the servers, how soon it begins, and how it goes with many at once."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.bench import delivery, load, many_playbacks, peers, starting
from tests.bench.beside import CLOUD, FILE_RESPONSE, Beside, Server, copy_node, node
from tests.bench.checks import authorised, seed_people
from tests.bench.delivery import Paths, Way
from tests.bench.figures import Figure, waits
from tests.bench.rig import Rig
from tests.bench.uploads import memory
from tests.bench.viewers import Crowd, watch
from tests.clips import ffmpeg

MIB = 2**20
SEGMENTS, SEGMENT_S = 64, 4
VIEWERS, MORE_VIEWERS, STARTS = 500, 1_000, 100
WATCHED_SEGMENTS = 4
AT_ONCE = 16


def make_film(path: Path) -> Path:
    """Four minutes whose picture is copied into its only rendition, in segments of a little more than 1 MiB."""
    rate, bits = 32, "2200k"
    noise = f"testsrc2=size=640x360:rate={rate},noise=alls=60:allf=t"
    encoded = ("-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "high", "-pix_fmt", "yuv420p", "-bf", "0")
    rated = ("-b:v", bits, "-minrate", bits, "-maxrate", bits, "-bufsize", bits, "-x264-params", "nal-hrd=cbr")
    keys = ("-g", str(rate * SEGMENT_S), "-keyint_min", str(rate * SEGMENT_S), "-sc_threshold", "0")
    once = path.with_name("segment.mp4")
    ffmpeg("-f", "lavfi", "-i", noise, "-t", str(SEGMENT_S), *encoded, *rated, *keys, once)
    ffmpeg("-stream_loop", str(SEGMENTS - 1), "-i", once, "-c", "copy", "-movflags", "+faststart", path)
    return path


async def _begin(url: str, video_id: str, viewers: list[dict[str, str]]) -> list[str]:
    """A playback each; the paths of their first rendition."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def begin(headers: dict[str, str]) -> str:
        async with turn:
            answer = await http.post(f"/videos/{video_id}/playback", headers=headers)
        url: str = answer.raise_for_status().json()["mp4"][0]["url"]
        return urlsplit(url).path

    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
        return list(await asyncio.gather(*(begin(viewer) for viewer in viewers)))


def _students(rig: Rig, count: int) -> list[dict[str, str]]:
    people = seed_people(rig.stack.database.url(), "student", count, rig.course)
    return authorised(rig, people, "student")


class Screening:
    """A film on nodes of its own, with those who watch it and who sends it."""

    def __init__(self, rig: Rig, stack: ExitStack) -> None:
        self._rig, self._stack = rig, stack
        self.video_id = str(rig.upload(make_film(rig.folder / "watched.mp4"))["id"])
        rig.wait_until_ready(self.video_id)
        self._folder = rig.folder / "watching"
        self._folder.mkdir()
        self.bare = stack.enter_context(node(rig, copy_node(rig.folder / "node-1", self._folder / "bare")))
        self.film = next((self.bare.folder / "media" / "videos").glob(f"*/{self.video_id}/sd.mp4"))
        self._playlist = self.film.with_suffix(".m3u8").read_text()
        self.static = {name: stack.enter_context(self._static(name)) for name in peers.installed()}
        self.paths: list[str] = []

    def measure(self) -> list[Figure]:
        figures, waited = self._with_many()
        edged = self._another("edged", TOPTANK_EDGE_SENDS="true")
        edges = {name: self._before(name, edged) for name in self.static}
        figures += self._waits(waited, edges)
        figures += delivery.measure(self._ways(edges), self.film.stat().st_size)
        nginx = self.static.get("nginx")
        figures += starting.measure(
            self.bare.url, nginx.url if nginx else None, self.video_id, _students(self._rig, STARTS)
        )
        return [*figures, many_playbacks.measure(self._rig, self.bare.folder)]

    @contextmanager
    def _static(self, name: str) -> Iterator[Server]:
        """The film, for anyone who asks."""
        files = self._folder / f"static-{name}" / "files"
        files.mkdir(parents=True)
        for made in ("sd.mp4", "sd.m3u8", "master.m3u8"):
            (files / made).hardlink_to(self.film.with_name(made))
        with peers.static(name, files.parent, files) as server:
            yield server

    def _before(self, name: str, edged: Beside) -> Server:
        folder = self._folder / f"before-{name}"
        folder.mkdir()
        return self._stack.enter_context(peers.before(name, folder, self._rig.vps, edged))

    def _another(self, name: str, program: Sequence[str] = CLOUD, **settings: str) -> Beside:
        """A node on which the same people watch."""
        copy = copy_node(self.bare.folder, self._folder / name)
        return self._stack.enter_context(node(self._rig, copy, program, **settings))

    def _crowd(self, server: Server, paths: Sequence[str]) -> Crowd:
        """Each somewhere else in the film."""
        _, *parts = starting.segments(self._playlist)
        shows = [
            [
                load.request(f"{server.url}{path}", {"Range": parts[(number + place) % len(parts)]})
                for place in range(WATCHED_SEGMENTS)
            ]
            for number, path in enumerate(paths)
        ]
        return Crowd(server.url, shows)

    def _with_many(self) -> tuple[list[Figure], list[float]]:
        """Of a node that has just begun, so that whatever grows, they have made grow; and how long each waited."""
        (pid,) = self.bare.pids
        empty = most = memory(pid, "VmRSS")

        def look() -> None:
            nonlocal most
            most = max(most, memory(pid, "VmRSS"))
            time.sleep(0.2)

        figures = [Figure("memory of a node that nobody watches", round(empty / MIB, 1), "MiB")]
        waited = []
        for count in (VIEWERS, MORE_VIEWERS):
            newcomers = _students(self._rig, count - len(self.paths))
            self.paths += asyncio.run(_begin(self.bare.url, self.video_id, newcomers))
            waited.append(watch(self._crowd(self.bare, self.paths), look))
            each = (most - empty) / 1024 / count
            figures.append(Figure(f"memory of a node, for each of {count:,} viewers", round(each, 1), "KiB"))
        return [*figures, *waits(f"a segment of {MORE_VIEWERS:,} viewers, no edge", waited[1])], waited[0]

    def _waits(self, bare: list[float], edges: Mapping[str, Server]) -> list[Figure]:
        name = f"a segment of {VIEWERS} viewers"
        if "nginx" not in self.static:
            return waits(f"{name}, no edge", bare)
        theirs = watch(self._crowd(self.static["nginx"], ["/sd.mp4"] * VIEWERS), lambda: time.sleep(1))
        behind = watch(self._crowd(edges["nginx"], self.paths[:VIEWERS]), lambda: time.sleep(1))
        return [
            *waits(f"{name}, no edge, against nginx", bare, theirs),
            *waits(f"{name}, behind nginx, against nginx", behind, theirs),
        ]

    def _ways(self, edges: Mapping[str, Server]) -> dict[str, Way]:
        """Each connection has a token of its own."""
        links: Paths = [(path, {}) for path in self.paths[: load.CONNECTIONS]]
        file: Paths = [("/sd.mp4", {})] * load.CONNECTIONS
        stream: Paths = [(f"/videos/{self.video_id}/stream", self._rig.student)] * load.CONNECTIONS
        ways: dict[str, Way] = {}
        if "nginx" in edges:
            plain = self._another("plain", FILE_RESPONSE)
            ways |= {
                "nginx": Way(self.static["nginx"], file),
                "no edge": Way(self.bare, links, "nginx", (1.5, 1.25)),
                "behind nginx": Way(edges["nginx"], links, "nginx", (1.6, 1.25)),
                "by bearer token": Way(self.bare, stream, "nginx", least=0.6),
                "FileResponse": Way(plain, links, "nginx"),
            }
        if "caddy" in edges:
            ways |= {
                "Caddy": Way(self.static["caddy"], file),
                "behind Caddy": Way(edges["caddy"], links, "Caddy", (1.6, 1.25)),
                "Caddy with TLS": Way(self.static["https"], file),
                "behind Caddy with TLS": Way(edges["https"], links, "Caddy with TLS", (1.6, 1.25)),
            }
        return ways


def measure(rig: Rig) -> list[Figure]:
    with ExitStack() as stack:
        return Screening(rig, stack).measure()
