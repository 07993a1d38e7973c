"""What is put in the place of one of the four programs, to be noticed.

Each gets the path of the real program, and a file in which it leaves a mark when it has done what
should be noticed. `install` writes the executable.
"""

import http.server
import importlib.metadata
import itertools
import json
import os
import runpy
import secrets
import signal
import socket
import subprocess
import sys
import threading
import tomllib
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

StandIn: TypeAlias = Callable[[str, str], None]

TREE = Path(__file__).parents[2]
_DONE, _AS_COMMENT = b"data: [DONE]", b":ata: [DONE]"


def install(stand_in: StandIn, folder: Path, real: Path) -> tuple[Path, Path]:
    """Return the executable and the file of its marks, which any user may run and write."""
    program, marks = folder / real.name, folder / "marks"
    folder.chmod(0o755)
    marks.touch()
    marks.chmod(0o666)
    program.write_text(
        f"#!{sys.executable}\n"
        f"import sys\n"
        f"sys.path.insert(0, {str(TREE)!r})\n"
        f"from harness.saboteurs.stand_ins import {stand_in.__name__}\n"
        f"del sys.path[0]\n"
        f"{stand_in.__name__}({str(real)!r}, {str(marks)!r})\n"
    )
    program.chmod(0o755)
    return program, marks


def exits_with_7(real: str, marks: str) -> None:
    _mark(marks)
    sys.exit(7)


def says_nothing(real: str, marks: str) -> None:
    """And exits with 0."""
    _mark(marks)


def drops_the_last_line(real: str, marks: str) -> None:
    """Of standard output; everything else is the real program's."""
    process = subprocess.Popen([real, *sys.argv[1:]], stdout=subprocess.PIPE)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: process.send_signal(received))
    assert process.stdout
    last = b""
    for line in process.stdout:
        sys.stdout.buffer.write(last)
        sys.stdout.buffer.flush()
        last = line
    if last:
        _mark(marks)
    code = process.wait()
    sys.exit(code if code >= 0 else 128 - code)


def drops_the_end_mark(real: str, marks: str) -> None:
    """The `[DONE]` of each answer that is complete goes out as a comment."""
    answered: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def changed(own: socket.socket, data: Any) -> bytes:
        text = bytes(data)
        if b"event: done\n" in text:
            answered.add(own)
        if own in answered and _DONE in text:
            _mark(marks)
            return text.replace(_DONE, _AS_COMMENT)
        return text

    plain, gathered = socket.socket.send, socket.socket.sendmsg

    def send(own: socket.socket, data: Any, *flags: int) -> int:
        return plain(own, changed(own, data), *flags)

    def sendmsg(own: socket.socket, buffers: Sequence[Any], *others: Any) -> int:
        return gathered(own, [changed(own, each) for each in buffers], *others)

    socket.socket.send = send  # type: ignore[method-assign, assignment]
    socket.socket.sendmsg = sendmsg  # type: ignore[method-assign, assignment]
    sys.argv[0] = real
    runpy.run_path(real, run_name="__main__")


def answers_with_nothing(real: str, marks: str) -> None:
    """A hive that answers `{}` to everything, and leaves a key but no pid file."""
    if sys.argv[1:2] != ["daemon"]:
        os.execv(real, [real, *sys.argv[1:]])
    key_file = Path.home() / ".rbee" / "api_key"
    if not key_file.exists():
        key_file.parent.mkdir(mode=0o700, exist_ok=True)
        key_file.touch(mode=0o600)
        key_file.write_text(secrets.token_urlsafe(32) + "\n")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    host, port = _address()
    server = http.server.ThreadingHTTPServer((host, port), Handler)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    ready = {
        "event": "listening",
        "program": "rbee-hive",
        "version": importlib.metadata.version("rbee"),
        "pid": os.getpid(),
        "url": f"http://{host}:{server.server_address[1]}",
    }
    _mark(marks)
    print(json.dumps(ready), flush=True)
    if "--lifeline" in sys.argv:
        threading.Thread(target=_end_with_the_lifeline, daemon=True).start()
    server.serve_forever()


def _address() -> tuple[str, int]:
    """From the flags, else from the config file, else the default."""
    file = Path(os.environ.get("RBEE_CONFIG") or Path.home() / ".config" / "rbee" / "config.toml")
    found: dict[str, Any] = tomllib.loads(file.read_text()).get("hive", {}) if file.exists() else {}
    words = sys.argv
    flags = dict(itertools.pairwise(words))
    host = flags.get("--host") or found.get("host", "127.0.0.1")
    return str(host), int(flags.get("--port") or found.get("port", 9200))


def _end_with_the_lifeline() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def _mark(marks: str) -> None:
    with Path(marks).open("a") as file:
        file.write("x")
