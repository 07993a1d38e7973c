"""A model fetched by a hive, as somebody who speaks its HTTP sees it."""

from typing import Any

from harness.world.calls import Reply
from harness.world.events import EventStream
from harness.world.world import World


class Fetch:
    """Asked for, and watched from then on. `reply` is the answer; without a 2xx nothing follows."""

    def __init__(self, world: World, model: str, hive: str = "", **fields: object) -> None:
        self._hive = hive or world.hive_url
        body = {"model": world.expand(model), **fields}
        self.reply: Reply = world.call("POST", f"{self._hive}/v1/models/download", body, 30)
        assert self.reply.status < 300, (self.reply.status, self.reply.body)
        self.id = str(self.reply.json["download_id"])
        self._world = world
        self.stream = self.watch()

    def watch(self) -> EventStream:
        """One watcher more."""
        url = f"{self._hive}/v1/models/download/progress?id={self.id}"
        stream = self._world.stream("GET", url)
        assert stream.refused is None, stream.refused
        return stream

    def told(self, stage: str) -> list[dict[str, Any]]:
        return [e.data for e in self.stream.named("download") if e.data["stage"] == stage]

    def wait_for_end(self, within: float) -> None:
        self.stream.wait_for_end(within)
        assert not self.stream.named("error"), self.stream.events[-3:]
