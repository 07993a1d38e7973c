"""The Hub over HTTP: what it is asked, who gets the token, and what its refusals mean."""

from __future__ import annotations

import gzip
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from rbee.contract.errors import DownloadFailed, ModelGated, ModelNotFound
from rbee.contract.model_ref import parse
from rbee.hive.models.hub import FileStream, Hub, read_range
from rbee.hive.models.hub_errors import RangeRefusedError, TransientError
from rbee.hive.models.repository import RemoteFile, RemoteModel, pick
from rbee.runtime import bind
from tests import certificates
from tests.hive.conftest import COMMIT, Answer, HubServer, ranged, refuse, reply, reset

REF = parse("hf:owner/repo")
LISTING = "/api/models/owner/repo?blobs=true"
FILE = f"/owner/repo/resolve/{COMMIT}/sub/m.gguf"
DATA = bytes(range(256)) * 10


@pytest.fixture
def hub(hub_server: HubServer) -> Hub:
    hub_server.holds({"sub/m.gguf": DATA, "README.md": b"words"})
    return Hub(stall_s=5.0)


@pytest.fixture
def model(hub: Hub) -> RemoteModel:
    return pick(hub.listing(REF), REF)


def fetched(hub: Hub, model: RemoteModel, start: int = 0) -> tuple[int, bytes]:
    with hub.stream(model, model.files[0], start) as stream:
        return stream.start, b"".join(stream.chunks)


def test_a_listing_names_every_file_with_its_size_and_sum(hub: Hub, hub_server: HubServer) -> None:
    found = hub.listing(REF)
    assert found.commit == COMMIT
    assert [(file.path, file.size_bytes) for file in found.files] == [
        ("sub/m.gguf", len(DATA)),
        ("README.md", 5),
    ]
    assert found.files[0].sha256 == hashlib.sha256(DATA).hexdigest()
    assert hub_server.paths == [LISTING]


def test_a_revision_is_asked_for_by_its_name(hub: Hub, hub_server: HubServer) -> None:
    hub.listing(parse("hf:owner/repo@v1"))
    assert hub_server.paths == ["/api/models/owner/repo/revision/v1?blobs=true"]


def test_a_file_that_the_hub_keeps_without_a_sum_has_none(hub_server: HubServer) -> None:
    body = b'{"id":"owner/repo","sha":"c0ffee","siblings":[{"rfilename":"m.gguf","size":7}]}'
    hub_server.answers[LISTING] = reply(body, headers={"Content-Type": "application/json"})
    [file] = Hub(5.0).listing(REF).files
    assert (file.size_bytes, file.sha256) == (7, None)


def test_a_file_comes_from_the_commit_of_the_listing(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    assert fetched(hub, model) == (0, DATA)
    assert hub_server.paths[-1] == FILE
    assert hub_server.header("range") is None
    assert hub_server.header("accept-encoding") == "identity"


def test_it_goes_on_where_it_is_reported_to(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    assert fetched(hub, model, 1000) == (1000, DATA[1000:])
    assert hub_server.header("range") == "bytes=1000-"


def test_a_server_without_ranges_begins_at_the_beginning(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    hub_server.answers[FILE] = reply(DATA)
    assert fetched(hub, model, 1000) == (0, DATA)


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"<html>Which room?</html>", headers={"Content-Type": "text/html"}),
        reply(DATA[:-1]),  # it may be the file cut short; what is there is worth more
        reply(DATA[1000:], 206, {"Content-Range": f"bytes 1000-1999/{len(DATA) - 1}"}),
        reply(DATA[999:], 206, {"Content-Range": f"bytes 999-1999/{len(DATA)}"}),
        reply(DATA[1000:], 206),
    ],
)
def test_what_is_not_the_file_does_not_begin(
    hub: Hub, model: RemoteModel, hub_server: HubServer, answer: Answer
) -> None:
    hub_server.answers[FILE] = answer
    with pytest.raises(TransientError, match=r"did not send sub/m\.gguf"):
        fetched(hub, model, 1000)


def test_a_page_is_not_the_beginning_of_a_file(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    hub_server.answers[FILE] = reply(b"<html></html>", headers={"Content-Type": "text/html"})
    with pytest.raises(TransientError, match="did not send"):
        fetched(hub, model)


def test_a_listing_without_sizes_is_completed_from_the_headers_of_the_file(
    hub_server: HubServer,
) -> None:
    hub_server.holds({"sub/m.gguf": DATA})
    body = b'{"sha":"%s","siblings":[{"rfilename":"sub/m.gguf"}]}' % COMMIT.encode()
    hub_server.answers[LISTING] = reply(body)
    hub = Hub(5.0)
    model = pick(hub.listing(REF), REF)
    assert not model.is_measured
    file = hub.measured(model, model.files[0])
    assert (file.size_bytes, file.sha256, file.is_measured) == (len(DATA), None, True)
    assert hub_server.header("range") == "bytes=0-0"


SHA = hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize(
    ("redirect", "answer", "sha256"),
    [
        ({"X-Linked-Size": "2560", "X-Linked-Etag": f'"{SHA}"'}, reply(DATA[:1]), SHA),
        ({"X-Linked-Size": "2560", "ETag": f'W/"{SHA}"'}, ranged(DATA), SHA),
        ({}, reply(DATA), None),
        ({}, reply(DATA, headers={"ETag": f'"{SHA}"'}), SHA),
        ({}, reply(DATA, headers={"ETag": '"0123"'}), None),
        ({}, reply(b"", 416, {"Content-Range": "bytes */2560"}), None),
    ],
)
def test_a_size_may_stand_in_a_redirect_or_behind_it(
    hub: Hub,
    model: RemoteModel,
    hub_server: HubServer,
    cdn: HubServer,
    redirect: dict[str, str],
    answer: Answer,
    sha256: str | None,
) -> None:
    unknown = RemoteFile("sub/m.gguf", 0, None, is_measured=False)
    location = {"Location": f"{cdn.url}/blob", **redirect}
    hub_server.answers[FILE] = reply(status=302, headers=location)
    cdn.answers["/blob"] = answer
    assert hub.measured(model, unknown) == RemoteFile("sub/m.gguf", len(DATA), sha256)


def test_a_size_that_is_nowhere_is_told(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    hub_server.answers[FILE] = reply(b"x", 206, {"Content-Range": "bytes 0-0/*"})
    with pytest.raises(DownloadFailed, match=r"how large sub/m\.gguf is"):
        hub.measured(model, model.files[0])


def test_a_token_that_was_reported_goes_before_the_machines_own(
    hub: Hub, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_this_machine")
    reported = Hub(5.0, "hf_opensesame")
    model = pick(reported.listing(REF), REF)
    assert hub_server.header("authorization") == "Bearer hf_opensesame"
    fetched(reported, model)
    assert hub_server.header("authorization") == "Bearer hf_opensesame"


def test_the_beginning_alone_is_asked_for(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    assert read_range(hub, model, 0, 100) == DATA[:100]
    assert hub_server.header("range") == "bytes=0-99"
    assert read_range(hub, model, 100, 50) == DATA[100:150]
    assert hub_server.header("range") == "bytes=100-149"


def test_the_beginning_is_cut_out_of_more(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    hub_server.answers[FILE] = reply(DATA)
    assert read_range(hub, model, 100, 50) == DATA[100:150]


def test_a_beginning_that_is_too_short_is_worth_another_attempt(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    hub_server.answers[FILE] = ranged(DATA[:50])
    with pytest.raises(TransientError, match="did not send"):
        read_range(hub, model, 0, 100)


def test_without_a_token_none_is_sent(hub: Hub, hub_server: HubServer) -> None:
    hub.listing(REF)
    assert hub_server.header("authorization") is None


def test_the_token_of_the_environment_goes_to_the_hub(
    hub: Hub, model: RemoteModel, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.listing(REF)
    assert hub_server.header("authorization") == "Bearer hf_secret"
    fetched(hub, model)
    assert hub_server.header("authorization") == "Bearer hf_secret"


def test_the_token_of_the_file_goes_to_the_hub(
    hub: Hub, hub_server: HubServer, tmp_path: Path
) -> None:
    (tmp_path / "no-token").write_text("hf_of_the_file\n")
    hub.listing(REF)
    assert hub_server.header("authorization") == "Bearer hf_of_the_file"


@pytest.fixture
def cdn() -> Iterator[HubServer]:
    """Another host, to which the Hub sends people."""
    server = HubServer()
    yield server
    server.close()


def test_another_host_gets_the_range_and_never_the_token(
    hub: Hub,
    model: RemoteModel,
    hub_server: HubServer,
    cdn: HubServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    cdn.answers["/blob?signed=1"] = ranged(DATA)
    hub_server.answers[FILE] = reply(status=302, headers={"Location": f"{cdn.url}/blob?signed=1"})
    assert fetched(hub, model, 1000) == (1000, DATA[1000:])
    assert hub_server.header("authorization") == "Bearer hf_secret"
    assert cdn.header("authorization") is None
    assert cdn.header("range") == "bytes=1000-"
    assert not any("hf_secret" in value for _, headers in cdn.asked for value in headers.values())


def test_a_gated_model_is_reported_with_the_page_to_ask_at(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    for status in (401, 403):
        hub_server.answers[FILE] = refuse(status, "GatedRepo")
        with pytest.raises(ModelGated) as caught:
            fetched(hub, model)
        assert caught.value.details == {
            "model": "hf:owner/repo/sub/m.gguf",
            "url": f"{hub_server.url}/owner/repo",
        }


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("RepoNotFound", "no repository owner/repo"),
        ("RevisionNotFound", "no revision v9"),
    ],
)
def test_what_the_hub_does_not_have_is_not_found(
    hub: Hub, hub_server: HubServer, code: str, words: str
) -> None:
    path = "/api/models/owner/repo/revision/v9?blobs=true"
    hub_server.answers[path] = refuse(404, code)
    with pytest.raises(ModelNotFound, match=words) as caught:
        hub.listing(parse("hf:owner/repo@v9"))
    assert caught.value.details == {"model": "hf:owner/repo@v9", "near": []}


def test_a_private_repository_looks_like_none(hub: Hub, hub_server: HubServer) -> None:
    hub_server.answers[LISTING] = refuse(401, "RepoNotFound")
    with pytest.raises(ModelNotFound, match="does not show it"):
        hub.listing(REF)


def test_a_file_that_has_gone_is_not_found(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    hub_server.answers[FILE] = refuse(404, "EntryNotFound")
    with pytest.raises(ModelNotFound):
        fetched(hub, model)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_worth_another_attempt(
    hub: Hub, model: RemoteModel, hub_server: HubServer, status: int
) -> None:
    hub_server.answers[FILE] = hub_server.answers[LISTING] = refuse(status)
    for ask in (lambda: hub.listing(REF), lambda: fetched(hub, model)):
        with pytest.raises(TransientError) as caught:
            ask()
        assert (caught.value.reason, caught.value.pause_s) == (f"HTTP {status}", 0.0)
    assert len(hub_server.asked) == 3


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("3600", 60.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2026 07:28:17 GMT", 17.0),
        ("Wednesday, 21-Oct-26 07:28:17 GMT", 17.0),
        ("Wed, 21 Oct 2026 07:28:17 -0000", 17.0),
        ("Thu, 22 Oct 2026 07:28:00 GMT", 60.0),
        ("Wed, 99 Oct 2026 07:28:00 GMT", 0.0),
    ],
)
def test_the_pause_that_the_hub_asks_for_is_reported(
    hub: Hub, hub_server: HubServer, asked: str, pause: float
) -> None:
    """A date is meant by the clock of who sends it."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.date_time_string = lambda *_: "Wed, 21 Oct 2026 07:28:00 GMT"  # type: ignore[method-assign]
        refuse(429, **{"Retry-After": asked})(handler)

    hub_server.answers[LISTING] = answer
    with pytest.raises(TransientError) as caught:
        hub.listing(REF)
    assert caught.value.pause_s == pause


@pytest.mark.parametrize(
    ("status", "words"), [(403, "node without a token"), (400, "HTTP 400"), (416, "HTTP 416")]
)
def test_what_does_not_pass_has_failed(
    hub: Hub, model: RemoteModel, hub_server: HubServer, status: int, words: str
) -> None:
    hub_server.answers[FILE] = refuse(status)
    with pytest.raises(DownloadFailed, match=words) as caught:
        fetched(hub, model)
    assert caught.value.details["model"] == "hf:owner/repo/sub/m.gguf"
    assert caught.value.details["attempts"] == 1


def test_a_token_that_is_refused_is_told_from_none(
    hub: Hub, model: RemoteModel, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_server.answers[FILE] = refuse(403)
    with pytest.raises(DownloadFailed, match="without a token") as caught:
        fetched(hub, model)
    assert "hf auth login" in caught.value.advice
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(DownloadFailed, match="refuses the token of this node"):
        fetched(hub, model)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_address_that_has_expired_is_asked_for_again(
    hub: Hub, model: RemoteModel, hub_server: HubServer, cdn: HubServer, status: int
) -> None:
    hub_server.answers[FILE] = reply(status=302, headers={"Location": f"{cdn.url}/old?s3cret"})
    cdn.answers["/old?s3cret"] = refuse(status)
    with pytest.raises(TransientError) as caught:
        fetched(hub, model, 1000)
    assert caught.value.reason == (
        f"the storage that the Hub leads to refuses to send it (HTTP {status})"
    )
    hub_server.answers[FILE] = reply(status=302, headers={"Location": f"{cdn.url}/new"})
    cdn.answers["/new"] = ranged(DATA)
    assert fetched(hub, model, 1000) == (1000, DATA[1000:])


def test_a_hub_that_has_moved_is_still_believed(
    hub: Hub, model: RemoteModel, hub_server: HubServer, cdn: HubServer
) -> None:
    hub_server.answers[FILE] = reply(status=307, headers={"Location": f"{cdn.url}/moved"})
    cdn.answers["/moved"] = refuse(403, "GatedRepo")
    with pytest.raises(ModelGated):
        fetched(hub, model)


def test_a_rest_that_there_is_not_is_told_from_other_refusals(
    hub: Hub, model: RemoteModel, hub_server: HubServer, cdn: HubServer
) -> None:
    hub_server.answers[FILE] = refuse(416)
    with pytest.raises(RangeRefusedError):
        fetched(hub, model, 1000)
    cdn.answers["/blob"] = refuse(416)
    hub_server.answers[FILE] = reply(status=302, headers={"Location": f"{cdn.url}/blob"})
    with pytest.raises(RangeRefusedError):
        fetched(hub, model, 1000)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 2560\n"


@pytest.mark.parametrize("start", [0, 1000])
@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream"])
def test_a_pointer_in_the_place_of_its_file_is_told_as_such(
    hub: Hub, model: RemoteModel, hub_server: HubServer, start: int, kind: str
) -> None:
    hub_server.answers[FILE] = reply(POINTER, headers={"Content-Type": kind})
    with pytest.raises(DownloadFailed, match=r"Git LFS pointer of sub/m\.gguf, not the file"):
        fetched(hub, model, start)


def test_a_pointer_that_is_as_long_as_the_listing_says_is_one(hub_server: HubServer) -> None:
    hub_server.holds({"sub/m.gguf": POINTER})
    hub = Hub(5.0)
    with pytest.raises(DownloadFailed, match="Git LFS pointer"):
        read_range(hub, pick(hub.listing(REF), REF), 0, len(POINTER))


@pytest.mark.parametrize("start", [0, 1000])
@pytest.mark.parametrize("ask", ["whole", "range"])
def test_a_file_that_is_compressed_is_told_as_such(
    hub: Hub, model: RemoteModel, hub_server: HubServer, start: int, ask: str
) -> None:
    body = gzip.compress(DATA)
    hub_server.answers[FILE] = reply(body, headers={"Content-Encoding": "gzip"})
    with pytest.raises(DownloadFailed, match=r"sends sub/m\.gguf compressed \('gzip'\)"):
        fetched(hub, model, start) if ask == "whole" else read_range(hub, model, start, 100)


def test_headers_that_come_byte_by_byte_end_in_time(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    """Each byte sets the limit on silence back."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not hub_server.over.wait(0.02):
            handler.wfile.write(b"x")

    hub_server.answers[FILE] = drip
    with pytest.raises(TransientError) as caught:
        fetched(Hub(stall_s=1), model)
    assert caught.value.reason == "no whole answer within 3 s"


def test_a_redirect_to_what_is_not_http_is_not_tried_again(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    hub_server.answers[FILE] = reply(status=302, headers={"Location": "ftp://127.0.0.1/m.gguf"})
    with pytest.raises(DownloadFailed, match="not HTTP"):
        fetched(hub, model)


def test_a_reset_connection_is_reported_as_one(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    hub_server.answers[FILE] = reset()
    with pytest.raises(TransientError) as caught:
        fetched(hub, model)
    assert caught.value.reason == "Connection reset"


def test_what_came_before_the_end_that_was_too_early_has_come(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    length = {"Content-Length": "100", "Connection": "close"}
    hub_server.answers[FILE] = reply(DATA[:50], headers=length)
    came = bytearray()
    with (
        pytest.raises(TransientError) as caught,
        hub.stream(model, model.files[0], 0) as stream,
    ):
        for chunk in stream.chunks:
            came += chunk
    assert bytes(came) == DATA[:50]
    assert caught.value.reason == "Connection closed early"


def test_a_server_that_says_nothing_is_reported_with_the_time_that_was_waited(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    hub_server.says_nothing(FILE)
    with pytest.raises(TransientError) as caught:
        fetched(Hub(stall_s=0.1), model)
    assert caught.value.reason == "no byte for 0.1 s"


def test_a_stream_that_dries_up_is_reported_as_such(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    hub_server.stalls(FILE, DATA[:50])
    with pytest.raises(TransientError) as caught:
        fetched(Hub(stall_s=0.1), model)
    assert caught.value.reason == "no byte for 0.1 s"


def test_where_nothing_listens_is_reported(
    hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    with bind.listening_socket("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(TransientError) as caught:
        Hub(5.0).listing(REF)
    assert caught.value.reason == "Connection refused"


def test_a_reason_never_holds_the_address(
    hub: Hub, model: RemoteModel, hub_server: HubServer, cdn: HubServer
) -> None:
    cdn.answers["/blob?signature=s3cret"] = reset()
    location = f"{cdn.url}/blob?signature=s3cret"
    hub_server.answers[FILE] = reply(status=302, headers={"Location": location})
    with pytest.raises(TransientError) as caught:
        fetched(hub, model)
    assert "s3cret" not in caught.value.reason
    assert caught.value.__cause__ is None
    cdn.answers["/blob?signature=s3cret"] = refuse(400)
    with pytest.raises(DownloadFailed) as refused:
        fetched(hub, model)
    assert "s3cret" not in refused.value.message + str(refused.value.details)


def test_offline_nobody_is_asked(
    hub: Hub, model: RemoteModel, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub_server.asked.clear()
    with pytest.raises(DownloadFailed, match="HF_HUB_OFFLINE"):
        hub.listing(REF)
    with pytest.raises(DownloadFailed, match="HF_HUB_OFFLINE"):
        fetched(hub, model)
    assert hub_server.asked == []


def test_a_stream_that_is_aborted_ends_at_once(
    hub: Hub, model: RemoteModel, hub_server: HubServer
) -> None:
    hub_server.stalls(FILE, DATA[:50])
    began = time.monotonic()
    with (
        pytest.raises(TransientError),
        hub.stream(model, model.files[0], 0) as stream,
    ):
        for _ in stream.chunks:
            threading.Thread(target=stream.abort).start()
    assert time.monotonic() - began < 4


def test_a_stream_may_be_aborted_when_it_is_over(hub: Hub, model: RemoteModel) -> None:
    with hub.stream(model, model.files[0], 0) as stream:
        b"".join(stream.chunks)
    stream.abort()


def test_aborting_a_stream_leaves_its_encryption_alone() -> None:
    """A TLS socket's own shutdown forgets the keys: its reader would get what is encrypted."""

    class Tls(socket.socket):
        def shutdown(self, _: int) -> None:
            raise AssertionError("the keys are forgotten")

    near, far = socket.socketpair()
    with Tls(fileno=near.detach()) as tls, far:
        FileStream(0, iter(()), tls).abort()
        assert far.recv(1) == b""


def test_an_untrusted_certificate_is_not_tried_again(
    hub: Hub, model: RemoteModel, hub_server: HubServer, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.pair(tmp_path / "tls"))
    secret = HubServer(context)
    location = f"{secret.url}/blob".replace("http://", "https://")
    hub_server.answers[FILE] = reply(status=302, headers={"Location": location})
    try:
        with pytest.raises(DownloadFailed, match="not trusted: self-signed certificate"):
            fetched(hub, model)
    finally:
        secret.close()
