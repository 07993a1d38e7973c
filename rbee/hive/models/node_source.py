"""The hive of another node, from which a model that it shares is fetched.

It proves that it knows the ticket before it is sent the ticket, on the same connection.
"""

from __future__ import annotations

import contextlib
import http.client
import re
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from rbee.contract import endpoints as ep
from rbee.contract.models import ModelSource
from rbee.hive.models.hub import FileStream
from rbee.hive.models.hub_errors import TransientError
from rbee.hive.models.repository import RemoteFile, RemoteModel
from rbee.runtime.concurrency import go_on
from rbee.runtime.error_text import strerror
from rbee.runtime.proof import Challenge, NotProven

_CONNECT_S = 2.0
_ANSWER_S = 5.0
_CHUNK = 1 << 20
_LARGEST_PROOF = 1024


class NodeSource:
    """Every call blocks, as with the Hub. Whatever goes wrong is a TransientError: the Hub may have
    the file."""

    def __init__(self, source: ModelSource, stall_s: float) -> None:
        self.node = source.node
        self.stall_s = stall_s
        self._source = source

    @contextlib.contextmanager
    def stream(
        self, model: RemoteModel, file: RemoteFile, start: int, length: int | None = None
    ) -> Iterator[FileStream]:
        """The file's bytes from `start` on. Raises TransientError."""
        path = ep.HIVE_MODEL_FILE.path.format(name=quote(file.path.rpartition("/")[2], safe=""))
        last = start + length - 1 if length is not None else ""
        with self._failures():
            parts = urlsplit(self._source.url)
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80)
        try:
            with self._failures():
                self._connect(connection)
                headers = {
                    "Authorization": f"Bearer {self._source.shared.ticket}",
                    "Range": f"bytes={start}-{last}",
                }
                connection.request("GET", path, headers=headers)
                connected = connection.sock
                response = connection.getresponse()
                self._check(response, start, file)
                connected.settimeout(self.stall_s)
            yield FileStream(start, self._chunks(response), connected)
        finally:
            connection.close()

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        """Connect, and let the hive prove that it knows the ticket."""
        connection.timeout = _CONNECT_S
        connection.connect()
        connection.auto_open = 0  # another connection would not be proven
        sock = connection.sock
        sock.settimeout(min(_ANSWER_S, self.stall_s))
        ticket, url, far = self._source.shared.ticket, self._source.url, self._source.far
        challenge = Challenge(ticket, url, sock.getpeername()[:2], far)
        connection.request("GET", challenge.target)
        answer = connection.getresponse()
        # What has a longer body leaves the connection in no state for the ticket.
        challenge.check(answer.status, answer.read(_LARGEST_PROOF))

    def _check(self, response: http.client.HTTPResponse, start: int, file: RemoteFile) -> None:
        if response.status != 206:
            raise TransientError(f"HTTP {response.status}")
        found = re.fullmatch(
            r"bytes (\d{1,18})-\d+/(\d{1,18})", response.headers.get("Content-Range", "")
        )
        if found is None or (int(found[1]), int(found[2])) != (start, file.size_bytes):
            raise TransientError("another file has its name there")

    def _chunks(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        with self._failures():
            while chunk := response.read1(_CHUNK):
                go_on()
                yield chunk

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except NotProven as error:
            raise TransientError(f"it is not the hive that shares it: {error.reason}") from None
        except TimeoutError:
            raise TransientError("no answer in time") from None
        except http.client.HTTPException:
            raise TransientError("Connection closed early") from None
        except OSError as error:
            raise TransientError(strerror(error)) from None
        except ValueError:
            raise TransientError("its address is not one") from None
