"""The Hub's HTTP: listings and files, with ranges, typed refusals, and the faults of a scenario."""

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from harness.hub import sending
from harness.hub.faults import HubFaults
from harness.hub.repositories import Blob, Commit, Repository
from harness.hub.request_log import HubRequest, RequestLog

_CLOSE_LOOK_S = 0.02
_BLANKS = b" " * (1 << 16)


@dataclass
class Library:
    """What both servers share."""

    repositories: dict[str, Repository]
    faults: HubFaults
    log: RequestLog
    storage_url: str = ""


class HubServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: str, port: int, role: str, library: Library) -> None:
        super().__init__((address, port), _Handler)
        self.role = role
        self.library = library
        self.closing = threading.Event()
        self._connections: set[socket.socket] = set()
        threading.Thread(target=self.serve_forever, args=[_CLOSE_LOOK_S], daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is not an error of the Hub; anything else is shown."""
        if not self.closing.is_set():
            super().handle_error(request, client_address)

    def stop(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HubServer
    record: HubRequest

    def do_GET(self) -> None:
        self.record = HubRequest(
            server=self.server.role,
            host=self.headers.get("Host", ""),
            method=self.command,
            path=unquote(urlsplit(self.path).path),
            range=self.headers.get("Range", ""),
            authorization=self.headers.get("Authorization", ""),
            query=dict(parse_qsl(urlsplit(self.path).query)),
        )
        self.server.library.log.note(self.record)
        try:
            self._answer()
        except (OSError, ValueError):  # ValueError: the file object of a socket that was cut
            self.close_connection = True
        finally:
            if self.record.ended_at is None:
                self.record.ended_at = time.monotonic()

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """The steps read the request log instead."""

    def send_response(self, code: int, message: str | None = None) -> None:
        self.record.status = code
        super().send_response(code, message)

    # Which answer

    def _answer(self) -> None:
        words = self.record.path.strip("/").split("/")
        if words == ["api", "models"]:
            self._search(self.record.query)
        elif words[:2] == ["api", "models"] and len(words) in (4, 6):
            self._listing("/".join(words[2:4]), words[5] if len(words) == 6 else "main")
        elif len(words) >= 5 and words[2] == "resolve":
            self._file("/".join(words[:2]), words[3], "/".join(words[4:]))
        else:
            self._refuse(404, "", "Not Found")

    def _listing(self, name: str, revision: str) -> None:
        found = self._commit(name, revision, "listing")
        odd = self.server.library.faults.listings
        if found and odd:
            self._odd_listing(*odd)
        elif found:
            repository, commit = found
            self._send_content(json.dumps(repository.listing(commit)).encode())

    def _search(self, asked: dict[str, str]) -> None:
        """As huggingface_hub's `list_models` asks. Only GGUF is tagged here."""
        if refusal := self.server.library.faults.next_refusal("search"):
            self._refuse(refusal.status, "", "Try again")
            return
        if odd := self.server.library.faults.listings:
            self._odd_listing(*odd)
            return
        repositories = list(self.server.library.repositories.values())
        found = [each for each in repositories if each.matches(asked.get("search", ""))]
        if asked.get("filter", "gguf") != "gguf":
            found = []
        if asked.get("sort") == "downloads":
            found.sort(key=lambda each: -each.downloads)
        limit = int(asked.get("limit", "1000"))
        self._send_content(json.dumps([each.found() for each in found[:limit]]).encode())

    def _odd_listing(self, beginning: bytes, endless: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(beginning)
        self.close_connection = True
        while endless and not self.server.closing.is_set():
            self.wfile.write(_BLANKS)

    def _file(self, name: str, revision: str, filename: str) -> None:
        found = self._commit(name, revision, "header" if self.record.bounded else "file")
        if not found or not self._let_in(found[0]):
            return
        commit = found[1]
        blob = commit.blobs.get(filename)
        if blob is None:
            self._refuse(404, "EntryNotFound", "Entry not found")
        elif self.server.role == "hub" and self.server.library.storage_url:
            self._redirect(commit, blob)
        else:
            self._send_file(commit, blob)

    def _commit(self, name: str, revision: str, where: str) -> tuple[Repository, Commit] | None:
        refusal = self.server.library.faults.next_refusal(where)
        if refusal:
            after = refusal.retry_after
            more = {} if after is None else {"Retry-After": str(after)}
            self._refuse(refusal.status, "", "Try again", more)
            return None
        repository = self.server.library.repositories.get(name)
        if repository is None:
            self._refuse(404, "RepoNotFound", "Repository not found")
            return None
        commit = repository.at(revision)
        if commit is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return repository, commit

    def _let_in(self, repository: Repository) -> bool:
        """The storage trusts the address in the request, as if it were signed."""
        if repository.token is None or self.server.role == "storage":
            return True
        if self.record.authorization == f"Bearer {repository.token}":
            return True
        status = 403 if self.record.authorization else 401
        self._refuse(status, "GatedRepo", f"Access to model {repository.name} is restricted.")
        return False

    # How it is sent

    def _refuse(
        self, status: int, code: str, message: str, more: dict[str, str] | None = None
    ) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message} if code else {}
        content = json.dumps({"error": message}).encode()
        self._send_content(content, status, {**headers, **(more or {})})

    def _send_content(
        self, content: bytes, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self._send_head(status, {"Content-Type": "application/json", **(headers or {})}, content)
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_head(self, status: int, headers: dict[str, str], content: bytes | int) -> None:
        self.send_response(status)
        length = content if isinstance(content, int) else len(content)
        for key, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(key, value)
        self.end_headers()

    def _redirect(self, commit: Commit, blob: Blob) -> None:
        place = f"{self.server.library.storage_url}{quote(self.record.path)}?signature=0"
        self._send_content(b"", 302, {**_file_headers(commit, blob), "Location": place})

    def _send_file(self, commit: Commit, blob: Blob) -> None:
        ranged = bool(self.record.range) and not self.server.library.faults.ignores_ranges
        begin, end = self.record.begin if ranged else 0, blob.size
        if self.record.bounded and ranged:
            end = min(end, int(self.record.range.rpartition("-")[2]) + 1)
        if ranged and begin >= blob.size:
            self._send_content(b"", 416, {"Content-Range": f"bytes */{blob.size}"})
            return
        whole = self.record.bounded or self.command == "HEAD"
        fault = None if whole else self.server.library.faults.next_break()
        stop = max(begin, int(blob.size * fault.share)) if fault else end
        headers = _file_headers(commit, blob)
        if ranged:
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{blob.size}"
        shorter = fault is not None and fault.how == "truncated"
        length = (stop if shorter else end) - begin
        self._send_head(206 if ranged else 200, headers, length)
        if self.command != "HEAD":
            closing, faults = self.server.closing, self.server.library.faults
            sending.send(self.connection, blob, begin, stop, self.record, faults, closing)
        if fault and fault.how != "truncated":
            self.close_connection = True
            sending.break_off(
                self.connection, self.rfile, fault.how, self.record, self.server.closing
            )


def _file_headers(commit: Commit, blob: Blob) -> dict[str, str]:
    return {
        "X-Repo-Commit": commit.id,
        "ETag": f'"{blob.sha256}"',
        "X-Linked-Etag": f'"{blob.sha256}"',
        "X-Linked-Size": str(blob.size),
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
    }
