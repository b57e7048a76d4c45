"""From an upload to what is made of it, against the same ffmpeg commands run bare; and what others notice of it."""

import http.client
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from cloud_service.processing import commands
from cloud_service.processing.ffmpeg import program
from cloud_service.processing.ladder import targets
from cloud_service.processing.source import Source
from tests.bench.figures import Figure
from tests.bench.rig import Rig
from tests.bench.uploads import MIB, send
from tests.cloud.processing.studio import looked_into

ROUNDS = 3
LECTURE_S = 30
LISTENED_S = 4.0
GBIT_S = 1e9 / 8
BEGUN_S = 1.0
FEWEST, PAUSE_S = 100, 0.002


def make_lecture(path: Path) -> Path:
    """720 lines with detail that moves, and sound; of a kind that cannot be copied."""
    picture = f"mandelbrot=size=1280x720:rate=25:start_scale=0.5,trim=duration={LECTURE_S}"
    command: list[str | Path] = [
        program(),
        "-loglevel",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        picture,
        "-f",
        "lavfi",
        "-i",
        "sine",
    ]
    encoding = ["-c:v", "mpeg4", "-q:v", "3", "-c:a", "aac", "-t", str(LECTURE_S)]
    subprocess.run([*command, *encoding, path], check=True)
    return path


def measure(rig: Rig) -> list[Figure]:
    lecture = make_lecture(rig.folder / "lecture.mp4")
    source = looked_into(lecture)
    rounds = [(_processed(rig, lecture), _bare(source, lecture)) for _ in range(ROUNDS)]
    made, ready, bare = (
        statistics.median(values)
        for values in zip(*((made, ready, bare) for (made, ready), bare in rounds), strict=True)
    )
    return [
        Figure(
            f"renditions of a lecture ({LECTURE_S} s), against bare ffmpeg",
            round(made, 2),
            "s",
            round(bare, 2),
            round(statistics.median(mine / its for (mine, _), its in rounds), 3),
            "<= 1.10",
        ),
        Figure(
            "from its last byte to HLS in every rendition, the same",
            round(ready, 2),
            "s",
            round(bare, 2),
            round(statistics.median(mine / its for (_, mine), its in rounds), 3),
        ),
        _first_byte(rig),
        *_what_others_notice(rig, lecture),
    ]


def _processed(rig: Rig, lecture: Path) -> tuple[float, float]:
    """Seconds that its renditions took, and seconds from the last byte until all was ready."""
    video = rig.upload(lecture)
    uploaded = time.perf_counter()
    rig.wait_until_ready(video["id"])
    ready = time.perf_counter() - uploaded
    told = httpx.get(f"{rig.cloud}/videos/{video['id']}/processing", headers=rig.teacher).raise_for_status().json()
    names = {rendition["name"] for rendition in rig.shown(video["id"])["renditions"]}
    return sum(step["seconds"] for step in told["steps"] if step["name"] in names), ready


def _bare(source: Source, lecture: Path) -> float:
    """The very commands, one after the other, with nothing around them."""
    output = lecture.with_name("bare-rendition.mp4")
    started = time.perf_counter()
    for target in targets(source):
        arguments = commands.rendition(lecture, source, target, output)
        subprocess.run([program(), "-loglevel", "error", "-nostdin", "-y", *arguments], check=True)
    took = time.perf_counter() - started
    output.unlink()
    return took


def _first_byte(rig: Rig) -> Figure:
    """Of a film of 256 MiB that browsers play as it is."""
    film = rig.film(256 * MIB)
    with rig.worker_asleep():
        url = f"{rig.cloud}/videos?lesson_id={rig.add_lesson()}"
        waits = [_when_sent(url, film, rig.teacher) for _ in range(ROUNDS)]
    return Figure("from the last byte of an upload to the first that plays", round(max(waits), 3), "s", target="< 1")


def _when_sent(url: str, film: Path, headers: dict[str, str]) -> float:
    """Seconds between the last byte's leaving and the first one's coming back."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.putrequest("POST", f"{parts.path}?{parts.query}")
    for name, value in {**headers, "Content-Length": str(film.stat().st_size)}.items():
        connection.putheader(name, value)
    connection.endheaders()
    with film.open("rb") as body:
        connection.sock.sendfile(body)
    last = time.perf_counter()
    location = connection.getresponse().headers["Location"]
    asked = httpx.get(
        f"{parts.scheme}://{parts.netloc}{location}/stream", headers={**headers, "Range": "bytes=0-65535"}
    )
    asked.raise_for_status()
    took = time.perf_counter() - last
    connection.close()
    httpx.delete(f"{parts.scheme}://{parts.netloc}{location}", headers=headers).raise_for_status()
    return took


def _p99_ms(url: str, headers: dict[str, str], goes_on: Callable[[], bool] = lambda: True) -> float:
    """Of one viewer's requests, one after the other over one connection, for LISTENED_S at most."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    waits: list[float] = []
    started = time.perf_counter()
    while time.perf_counter() < started + LISTENED_S and (goes_on() or len(waits) < FEWEST):
        asked = time.perf_counter()
        connection.request("GET", parts.path, headers={**headers, "Range": "bytes=0-0"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == http.HTTPStatus.PARTIAL_CONTENT
        waits.append(time.perf_counter() - asked)
        time.sleep(PAUSE_S)
    connection.close()
    return statistics.quantiles(waits, n=100)[-1] * 1000


def _what_others_notice(rig: Rig, lecture: Path) -> list[Figure]:
    """p99 of a viewer's small requests, alone and beside an upload and a transcoding."""
    watched = rig.upload(rig.film(4 * MIB))["id"]
    rig.wait_until_ready(watched)
    url = f"{rig.cloud}/videos/{watched}/stream"
    alone = _p99_ms(url, rig.student)

    def beside_transcoding(listen: Callable[[], float]) -> float:
        transcoded = rig.upload(lecture)["id"]
        time.sleep(BEGUN_S)
        p99_ms = listen()
        if rig.shown(transcoded)["status"] != "processing":
            raise ValueError("the transcoding ended before")
        rig.wait_until_ready(transcoded)
        return p99_ms

    def beside_upload(bytes_per_s: float) -> float:
        target, film = f"{rig.cloud}/videos?lesson_id={rig.add_lesson()}", rig.film(1024 * MIB)
        with ProcessPoolExecutor(1) as elsewhere:
            uploading = elsewhere.submit(send, target, film, rig.teacher, bytes_per_s=bytes_per_s)
            p99_ms = _p99_ms(url, rig.student, lambda: not uploading.done())
            uploading.result()
        return p99_ms

    def figure(name: str, listen: Callable[[], float]) -> Figure:
        busy = beside_transcoding(listen)
        return Figure(name, round(busy, 2), "ms", round(alone, 2), round(busy / alone, 2), "<= 3")

    return [
        figure("p99 of one byte streamed beside a transcoding, against idle", lambda: _p99_ms(url, rig.student)),
        figure("the same beside it and an upload over 1 Gbit/s", lambda: beside_upload(GBIT_S)),
        figure("the same beside it and an upload as fast as it goes", lambda: beside_upload(float("inf"))),
    ]
