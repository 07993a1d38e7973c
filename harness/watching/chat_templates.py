"""Conversations whose template takes long, and the processes that render them."""

import contextlib
import http.client
import json
from urllib.parse import urlsplit

import psutil

from harness.model_files.templates import LOOPS_FOR
from harness.watching.standalone_worker import StandaloneWorker
from harness.world.http_client import Reply
from harness.world.waiting import wait_until
from harness.world.world import World

# More than a process takes until it can render.
_COMPUTED_S = 0.5


class LoopingConversation:
    """A client that has sent a conversation for which the template loops, and waits."""

    request_id = "looping"

    def __init__(self, world: World, worker: StandaloneWorker) -> None:
        self._worker = worker
        parts = urlsplit(worker.url)
        assert parts.hostname, worker.url
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        headers = {"Authorization": f"Bearer {world.key}", "Content-Type": "application/json"}
        said = [{"role": "user", "content": LOOPS_FOR}]
        body = {"messages": said, "request_id": self.request_id}
        self._connection.request("POST", "/v1/inference", json.dumps(body), headers)
        world.add_cleanup(self.leave)
        self.renderer = wait_until("a template that loops", self._rendering, 20)
        assert self.renderer is not None

    def reply(self) -> Reply:
        """What the worker answers in the end."""
        response = self._connection.getresponse()
        return Reply(response.status, response.headers, response.read())

    def leave(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _rendering(self) -> psutil.Process | None:
        for process in self._worker.process.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.cpu_times().user > _COMPUTED_S:
                    return process
        return None


def is_gone(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return True
