"""Somebody who holds a key with a name: asks the queen with it, and runs the keeper with it."""

import hashlib
import json
import re
import secrets
import stat
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from harness.watching import footprint
from harness.watching.replies import ErrorReply, Metrics, error_of_stream
from harness.world.http_client import EventStream, Reply, call
from harness.world.run import Run
from harness.world.waiting import wait_until
from harness.world.world import World

_VARIABLE = "RBEE_AUTH_API_KEY_FILE"
_FORM = re.compile(r"(rbee_[a-z0-9]{8}_)[A-Za-z0-9_-]{43}")  # 43 letters of 6 bits hold 256
_LONG = {"prompt": "write a long story", "temperature": 0, "ignore_eos": True}


class Holder:
    """`file` is where the key is kept, outside of HOME."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.file = world.root / f"{name}.key"
        self._world = world
        self.streams: list[EventStream] = []

    @property
    def key(self) -> str:
        return self.file.read_text().strip()

    def is_given_a_key(self, flags: str) -> None:
        """The operator makes it in a shell, so that it appears in no output."""
        line = f"rbee-keeper auth create {self.name} {flags} > {self.file}"
        run = self._world.start_in_shell(line)
        assert run.wait(within=15) == 0, run.stderr.text

    def has_a_key_of_another_queen(self) -> None:
        self.file.touch(mode=0o600)
        self.file.write_text(f"rbee_abcd1234_{secrets.token_urlsafe(32)}\n")

    def has_the_queens_own_key(self) -> None:
        self.file.touch(mode=0o600)
        self.file.write_text(f"{self._world.key}\n")

    def runs(self, line: str) -> Run:
        """Start the keeper as on a machine whose `api_key_file` is this key."""
        before = dict(self._world.extra_environment)
        self._world.extra_environment[_VARIABLE] = str(self.file)
        try:
            return self._world.start(line)
        finally:
            self._world.extra_environment = before

    def call(self, method: str, path: str, body: object = None) -> Reply:
        return call(method, self._world.queen_url + path, body, self.key)

    def follows(self, method: str, path: str, body: object = None) -> EventStream:
        stream = EventStream(method, self._world.queen_url + path, body, self.key)
        self._world.add_cleanup(stream.close)
        self.streams.append(stream)
        return stream

    def asks(self, tokens: int, model: str | None = None) -> EventStream:
        body = {**_LONG, "max_tokens": tokens, **({"model": model} if model else {})}
        return self.follows("POST", "/v2/tasks", body)

    def asks_for_whole(self, tokens: int) -> Future[Reply]:
        """Ask for an answer that does not stream, and wait until the task is counted."""
        before = self._in_flight()
        body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": tokens}
        pool = ThreadPoolExecutor(1)
        url = f"{self._world.queen_url}/v1/chat/completions"
        reply = pool.submit(call, "POST", url, body, self.key, timeout=60)
        pool.shutdown(wait=False)
        wait_until("one task more", self._in_flight, 5, lambda count: count > before)
        return reply

    def answer_of(self, model: str | None) -> tuple[str, ErrorReply | None]:
        """Return `done`, or the error's code and the error."""
        stream = self.asks(2, model)
        if stream.refused is None:
            stream.wait_for_end(within=60)
            if stream.named("done"):
                return "done", None
        error = error_of_stream(stream, within=1)
        return error.code, error

    def leaves(self) -> None:
        """Break off what streams, and wait until the queen counts one task less."""
        before = self._in_flight()
        next(each for each in self.streams if each.named("token") and each.reading).close()
        wait_until("one task less", self._in_flight, 10, lambda count: count < before)

    def _in_flight(self) -> float:
        text = self._world.call("GET", f"{self._world.queen_url}/metrics").body.decode()
        return Metrics(text).value("rbee_key_tasks_running", key=self.name)

    def cancels(self, stream: EventStream) -> int:
        """Return the status of the answer."""
        request_id = stream.named("accepted")[0].data["request_id"]
        return self.call("DELETE", f"/v2/tasks/{request_id}").status


def complaints(world: World, holder: Holder) -> Iterator[str]:
    """Yield what is wrong with a key as it was printed, against what the operator's list shows."""
    form = _FORM.fullmatch(holder.key)
    listed = world.call("GET", f"{world.queen_url}/v2/keys").json["keys"]
    prefixes = [row["prefix"] for row in listed if row["name"] == holder.name]
    if form is None or prefixes != [form[1]]:
        yield f"{holder.key[:14]}… is listed as {prefixes}"
    if holder.file.read_text() != holder.key + "\n":
        yield "more than the key was printed"


def file_of(world: World) -> Path:
    """Return where the queen keeps its keys."""
    return world.home / ".rbee" / "keys.json"


def complaints_about_file(world: World, holder: Holder) -> Iterator[str]:
    """Yield what is wrong with the file in which the queen keeps its keys."""
    file = file_of(world)
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode != 0o600:
        yield f"its mode is {mode:o}"
    (kept,) = json.loads(file.read_text())["keys"]
    if kept["sha256"] != hashlib.sha256(holder.key.encode()).hexdigest():
        yield f"it holds {kept}"


def make_older(world: World, name: str, seconds: int) -> None:
    """Move the time at which a key was made, in the file of a queen that does not run."""
    file = file_of(world)
    kept = json.loads(file.read_text())
    (key,) = (each for each in kept["keys"] if each["name"] == name)
    key["created_unix"] -= seconds
    file.write_text(json.dumps(kept))


def places_of(world: World, holder: Holder) -> list[str]:
    """Return where the secret part of the key is."""
    secret = holder.key[len("rbee_abcd1234_") :]
    found = footprint.secret_in_processes(secret, world.processes())
    for folder in (world.root, Path(world.evidence.folder)):
        found += footprint.secret_in_files(secret, folder, except_for=world.key_file)
    return found
