"""Following the changes feed as a node does: with epoch, number and mark of the last answer."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from shared.contract import CHANGES
from tests.vps.people import done
from tests.vps.running import Node, Vps
from vps_service import changes


async def pull(node: Node, **query: Any) -> Any:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return done(await node.get(f"{CHANGES}?{asked}" if asked else CHANGES))


@dataclass
class Follower:
    """A node's position in the feed, and what it has seen since it began or began again."""

    node: Node
    epoch: str = ""
    number: int = 0
    mark: str = ""
    resets: int = 0
    seen: list[dict[str, Any]] = field(default_factory=list)

    @property
    def numbers(self) -> list[int]:
        return [item["number"] for item in self.seen]

    async def follow(self, wait_s: float = 0) -> Any:
        position = {"after": self.number, "epoch": self.epoch, "mark": self.mark} if self.epoch else {}
        answer = await pull(self.node, **position, wait_s=wait_s)
        if answer["reset"]:
            assert answer["items"] == []
            self.number, self.seen, self.resets = answer["head"], [], self.resets + 1
        elif answer["items"]:
            assert answer["head"] >= answer["items"][-1]["number"]
            self.number = answer["items"][-1]["number"]
        self.epoch, self.mark = answer["epoch"], answer["mark"]
        self.seen += answer["items"]
        return answer

    async def catch_up(self) -> None:
        while (await self.follow())["items"]:
            pass


async def follower(node: Node) -> Follower:
    started = Follower(node)
    await started.follow()
    return started


async def announce(vps: Vps, count: int = 1) -> None:
    """So many changes, each in a transaction of its own, about courses that nobody has."""
    for _ in range(count):
        async with vps.sessions() as session, session.begin():
            changes.record(session, "course_deleted", course_id=uuid4())
