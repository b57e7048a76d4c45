"""From pressing play to the first byte of the film, as a player comes to it, each time over a new connection."""

import http.client
import json
import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.bench.figures import Figure, waits
from tests.bench.load import address_of

TO_THE_END = {"Range": "bytes=0-"}


def segments(playlist: str) -> list[str]:
    """The byte ranges of a media playlist, what comes before the first segment first."""
    found = re.findall(r'BYTERANGE(?:="|:)(\d+)@(\d+)', playlist)
    return [f"bytes={start}-{int(start) + int(size) - 1}" for size, start in found]


class Player:
    """Somebody who presses play at one address."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(*address_of(url), timeout=30)

    def begin(self, video_id: str, headers: dict[str, str]) -> dict[str, str]:
        """Paths of the links."""
        self._connection.request("POST", f"/videos/{video_id}/playback", headers=headers)
        answer = self._connection.getresponse()
        made = json.loads(answer.read())
        if answer.status != http.HTTPStatus.CREATED:
            raise ValueError(made)
        return {"hls": urlsplit(made["hls"]).path, "mp4": urlsplit(made["mp4"][0]["url"]).path}

    def play_hls(self, master: str) -> None:
        """Playlists, what comes before the first segment, and one byte of that."""
        folder = master.rpartition("/")[0]
        self._fetch(master)
        before, first, *_ = segments(self._fetch(f"{folder}/sd.m3u8").decode())
        self._fetch(f"{folder}/sd.mp4", {"Range": before})
        self._fetch(f"{folder}/sd.mp4", {"Range": first}, whole=False)

    def play_mp4(self, path: str) -> None:
        """As `<video>` asks for it; one byte."""
        self._fetch(path, TO_THE_END, whole=False)

    def _fetch(self, path: str, headers: dict[str, str] | None = None, *, whole: bool = True) -> bytes:
        self._connection.request("GET", path, headers=headers or {})
        answer = self._connection.getresponse()
        if answer.status not in (http.HTTPStatus.OK, http.HTTPStatus.PARTIAL_CONTENT):
            raise ValueError(answer.read())
        return answer.read(None if whole else 1)

    def leave(self) -> None:
        self._connection.close()


def timed(url: str, play: Callable[[Player], None]) -> float:
    """Seconds."""
    started = time.perf_counter()
    player = Player(url)
    play(player)
    took = time.perf_counter() - started
    player.leave()
    return took


def measure(node: str, peer: str | None, video_id: str, viewers: list[dict[str, str]]) -> list[Figure]:
    """`peer` has the same files for anyone, without their folder. Each viewer has a turn in each way."""

    def hls(headers: dict[str, str]) -> float:
        return timed(node, lambda player: player.play_hls(player.begin(video_id, headers)["hls"]))

    def mp4(headers: dict[str, str]) -> float:
        return timed(node, lambda player: player.play_mp4(player.begin(video_id, headers)["mp4"]))

    unknown = [hls(viewer) for viewer in viewers]
    known, theirs, single, their_single = [], [], [], []
    for viewer in viewers:
        known.append(hls(viewer))
        single.append(mp4(viewer))
        if peer:
            theirs.append(timed(peer, lambda player: player.play_hls("/master.m3u8")))
            their_single.append(timed(peer, lambda player: player.play_mp4("/sd.mp4")))
    return [
        *waits("POST playback to the first byte of HLS", known, theirs),
        *waits("POST playback to the first byte of MP4", single, their_single),
        *waits("the same of HLS, the right asked of the VPS", unknown),
    ]
