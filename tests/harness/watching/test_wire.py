"""Packets of a real connection, where the machine lets the harness read them."""

import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.watching import wire
from harness.watching.wire import Wire
from harness.world.http_client import call
from harness.world.network import Network

pytestmark = pytest.mark.skipif(not wire.available(), reason="reading packets needs root")


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def test_a_wire_has_the_exchanges_of_its_own_network_only() -> None:
    own, others = Network(), Network()
    seen, by_others = (Wire(each.address(0), list) for each in (own, others))
    server = ThreadingHTTPServer((own.address(2), 9200), _Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://{own.address(2)}:9200"
    try:
        for number in range(3):
            call("POST", f"{url}/a/{number}", {"text": "x" * 200_000})
        found = seen.requests("POST", "/a/", to=url)
        assert [each.path for each in found] == ["/a/0", "/a/1", "/a/2"]
        assert all(each.body == each.reply and len(each.body) > 200_000 for each in found)
        assert all(each.caller in (os.getpid(), None) for each in found)
        assert [each.at for each in found] == sorted(each.at for each in found)
        assert seen.wait_for("POST", "/a/1").ended_at
        assert seen.requests("POST", "/a") == seen.requests("GET", "/a/1") == []
        assert len(seen.attempts(url)) == len({each.at for each in found}) == 3
        assert seen.attempts(url)[0] <= found[0].at
        assert seen.exchanges(to=(own.address(3), 9200)) == by_others.exchanges() == []
    finally:
        server.shutdown()
        server.server_close()
        for each in (seen, by_others):
            each.close()
        for network in (own, others):
            network.release()


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
@pytest.mark.parametrize("right", ["net_raw", "net_admin"])
def test_without_a_right_it_is_not_available(right: str) -> None:
    line = "from harness.watching import wire; print(wire.available())"
    argv = ["setpriv", f"--bounding-set=-{right}", sys.executable, "-c", line]
    asked = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert asked.stdout == "False\n", asked
