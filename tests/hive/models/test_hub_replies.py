"""Answers of a Hub that no Hub gives: endless, compressed, of another form."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract.errors import DownloadFailed, ModelNotFound
from rbee.contract.model_ref import parse
from rbee.hive.models import hub_replies, repository
from rbee.hive.models.hub import Hub
from rbee.hive.models.hub_errors import TransientError
from rbee.hive.models.hub_queries import HubQueries
from rbee.hive.models.hub_replies import UnreadableError, listing
from rbee.hive.models.repository import Listing, RemoteFile
from rbee.runtime.concurrency import in_thread
from tests.hive.conftest import COMMIT, Answer, HubServer, reply

REF = parse("hf:owner/repo")
LISTING = "/api/models/owner/repo?blobs=true"
GOOD = {"rfilename": "m.gguf", "size": 7, "blobId": "b" * 40, "lfs": {"sha256": "a" * 64}}
JSON = {"Content-Type": "application/json"}


def body(*siblings: object, **more: object) -> bytes:
    return json.dumps({"sha": COMMIT, "siblings": siblings, **more}).encode()


def test_a_listing_of_the_hubs_form_is_read() -> None:
    found = listing(body(GOOD, {"rfilename": "README.md"}), "main")
    assert found.commit == COMMIT
    assert found.files == (
        RemoteFile("m.gguf", 7, "a" * 64, "b" * 40),
        RemoteFile("README.md", 0, None, "", is_measured=False),
    )


@pytest.mark.parametrize("said", [b"{}", b'{"siblings":null}', b'{"siblings":[],"sha":null}'])
def test_a_repository_without_files_is_empty(said: bytes) -> None:
    assert listing(said, "v1") == Listing("v1", ())


@pytest.mark.parametrize(
    "said",
    [
        body(siblings="x"),
        body(siblings={"m.gguf": 7}),
        body(siblings=7),
        body("m.gguf"),
        body(None),
        body([]),
        body({}),
        body({"rfilename": None}),
        body({"rfilename": 7}),
        body({"rfilename": ""}),
        body({"rfilename": "x" * 1025}),
        body({**GOOD, "size": -1}),
        body({**GOOD, "size": 1 << 60}),
        body({**GOOD, "size": 1 << 70}),
        body({**GOOD, "size": 1.5}),
        body({**GOOD, "size": "7"}),
        body({**GOOD, "lfs": "x"}),
        body({**GOOD, "lfs": {}}),
        body({**GOOD, "lfs": {"sha256": None}}),
        body({**GOOD, "lfs": {"sha256": "../../../etc"}}),
        body({**GOOD, "lfs": {"sha256": "a" * 63}}),
        body({**GOOD, "lfs": {"sha256": "a" * 64 + "\n"}}),
        body({**GOOD, "blobId": "../x"}),
        body({**GOOD, "blobId": 7}),
        body(sha=7),
        body(sha="../x"),
        body(sha="x" * 1000),
        b"[]",
        b'"x"',
        b"null",
        b'{"siblings":[{"rfilename":"\xff"}]}',
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_a_listing_of_another_form_is_not_read(said: bytes) -> None:
    with pytest.raises(UnreadableError):
        listing(said, "main")


@pytest.mark.parametrize(
    ("count", "name"), [(200_000, "x"), (20_001, "x"), (4_001, "x.gguf"), (4_001, "x.GGUF")]
)
def test_a_listing_without_end_is_refused(count: int, name: str) -> None:
    said = b'{"siblings":[' + b",".join([b'{"rfilename":"%s"}' % name.encode()] * count) + b"]}"
    with pytest.raises(UnreadableError, match=f"{count} "):
        listing(said, "main")


def test_names_are_counted_however_they_are_written() -> None:
    said = b'{"siblings":[' + b",".join([b'{"rfile\\u006eame":"x"}'] * 20_001) + b"]}"
    with pytest.raises(UnreadableError, match="20001 files"):
        listing(said, "main")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["siblings", "rfilename", "size", "lfs", "sha256", "sha"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_is_answered_is_a_listing_or_unreadable(value: Any) -> None:
    try:
        listing(json.dumps(value).encode(), "main")
    except UnreadableError as error:
        assert str(error)


@pytest.mark.parametrize(
    "name",
    ["../m.gguf", "a/../../m.gguf", "/etc/m.gguf", "a\nb.gguf", "a//b.gguf", "\x1b[31mm.gguf",
     "a/./b.gguf", "..\\m.gguf", "a\0.gguf"],
)  # fmt: skip
def test_a_file_with_an_absurd_name_is_not_offered(name: str) -> None:
    found = listing(body({**GOOD, "rfilename": name}, GOOD), "main")
    assert [str(model.reference) for model in repository.models(found, REF)] == [
        "hf:owner/repo/m.gguf"
    ]


def test_names_that_claim_a_thousand_parts_cost_no_time() -> None:
    """Two of the thousand are there, of each of two thousand models."""
    names = [f"{n}-{part}-of-01000.gguf" for n in range(2000) for part in ("00001", "01000")]
    files = tuple(RemoteFile(name, 7, None) for name in names)
    began = time.thread_time()
    assert repository.models(Listing(COMMIT, files), REF) == []
    assert time.thread_time() - began < 2


def test_names_near_a_long_one_cost_no_time() -> None:
    files = tuple(RemoteFile(f"{'ab' * 450}{n}.gguf", 7, None) for n in range(4000))
    began = time.thread_time()
    with pytest.raises(ModelNotFound):
        repository.pick(Listing(COMMIT, files), parse(f"hf:owner/repo/{'ba' * 450}.gguf"))
    assert time.thread_time() - began < 2


def endless(
    status: int = 200, sent: Callable[[int], None] = lambda _: None, **headers: str
) -> Answer:
    """An answer that goes on until its reader hangs up; `sent` is called with its bytes so far."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.close_connection = True
        total = 0
        while total < 1 << 30:
            handler.wfile.write(b" " * (1 << 16))
            total += 1 << 16
            sent(total)

    return answer


def test_a_listing_that_never_ends_is_given_up(hub_server: HubServer) -> None:
    sent: list[int] = []
    hub_server.answers[LISTING] = endless(sent=sent.append)
    with pytest.raises(DownloadFailed, match="more than 16 MB"):
        Hub(5.0).listing(REF)
    assert sent[-1] < 64 << 20


@pytest.mark.parametrize("status", [400, 404, 500])
def test_of_an_error_only_the_beginning_is_read(hub_server: HubServer, status: int) -> None:
    sent: list[int] = []
    hub_server.answers[LISTING] = endless(status, sent.append, X_Error_Code="RepoNotFound")
    with pytest.raises((ModelNotFound, DownloadFailed, TransientError)):
        Hub(5.0).listing(REF)
    assert sent[-1] < 32 << 20


@pytest.mark.parametrize("content", [b"\xff", b"[" * 50_000, b'{"error":7}', b"[]", b"<html>"])
def test_the_words_of_an_error_are_not_read(hub_server: HubServer, content: bytes) -> None:
    """huggingface_hub would stumble over some of them."""
    hub_server.answers[LISTING] = reply(content, 418, JSON)
    with pytest.raises(DownloadFailed, match="HTTP 418"):
        Hub(5.0).listing(REF)


@pytest.mark.parametrize(
    ("header", "value"), [("Retry-After", "\xb2"), ("Retry-After", "9" * 5000)]
)
def test_a_header_that_is_not_a_number_is_passed_over(
    hub_server: HubServer, header: str, value: str
) -> None:
    hub_server.answers[LISTING] = reply(b"", 503, {header: value})
    with pytest.raises(TransientError) as caught:
        Hub(5.0).listing(REF)
    assert caught.value.pause_s == 0


def test_of_a_redirect_only_the_beginning_is_read(hub_server: HubServer) -> None:
    sent: list[int] = []
    hub_server.answers[LISTING] = endless(302, sent.append, Location="/elsewhere")
    hub_server.answers["/elsewhere"] = reply(body(GOOD), headers=JSON)
    assert Hub(5.0).listing(REF).files[0].path == "m.gguf"
    assert sent[-1] < 32 << 20


def test_redirects_without_end_are_given_up(hub_server: HubServer) -> None:
    hub_server.answers[LISTING] = reply(status=302, headers={"Location": LISTING})
    with pytest.raises(DownloadFailed, match="redirects without end"):
        Hub(5.0).listing(REF)
    assert len(hub_server.asked) <= 21


@pytest.mark.parametrize("status", [200, 404])
def test_a_compressed_answer_is_not_inflated(hub_server: HubServer, status: int) -> None:
    large = gzip.compress(bytes(200 << 20), 1)
    headers = {**JSON, "Content-Encoding": "gzip", "X-Error-Code": "RepoNotFound"}
    hub_server.answers[LISTING] = reply(large, status, headers)
    with pytest.raises((DownloadFailed, ModelNotFound)):
        Hub(5.0).listing(REF)
    assert hub_server.header("accept-encoding") == "identity"


@pytest.mark.parametrize("said", [body(siblings="x"), body({**GOOD, "size": -1})])
def test_what_is_wrong_with_the_answer_is_said(hub_server: HubServer, said: bytes) -> None:
    hub_server.answers[LISTING] = reply(said, headers=JSON)
    with pytest.raises(
        DownloadFailed, match=r"the Hub's answer can't be read: Expected .*siblings"
    ):
        Hub(5.0).listing(REF)


async def test_reading_ends_with_its_asker(hub_server: HubServer) -> None:
    """A byte now and then is not silence."""
    began, ended = threading.Event(), threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        began.set()
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        try:
            while not hub_server.over.wait(0.02):
                handler.wfile.write(b" ")
        except OSError:
            ended.set()

    hub_server.answers[LISTING] = answer
    asking = asyncio.create_task(in_thread(Hub(5.0).listing, REF))
    assert await asyncio.to_thread(began.wait, 5)
    asking.cancel()
    assert await asyncio.to_thread(ended.wait, 5)


def test_a_slow_answer_has_a_deadline() -> None:
    response = httpx2.Response(200, content=iter([b" "] * 10))
    moments = iter([0.0, 1.0, 61.0])
    with pytest.raises(UnreadableError, match="within 60 s"):
        hub_replies.read_whole(response, 100, 60.0, lambda: next(moments))


# A search

SEARCH = "/api/models?search=tiny+one&filter=gguf&sort=downloads&limit=3"


def found(*names: str) -> bytes:
    return json.dumps([{"id": name, "downloads": 3, "gated": "auto"} for name in names]).encode()


def test_a_search_keeps_what_a_reference_can_name_and_no_more_than_was_asked_for() -> None:
    said = found("a/b", "no-owner", "a/..", "a/b c", "a/c", "a/d")
    assert [match.id for match in hub_replies.matches(said, 2)] == ["a/b", "a/c"]
    [match] = hub_replies.matches(b'[{"id":"a/b"}]', 2)
    assert (match.downloads, match.gated) == (0, False)


@pytest.mark.parametrize(
    "said",
    [
        b"{}",
        b'["a/b"]',
        b'[{"id":7}]',
        b'[{"id":"a/b","downloads":-1}]',
        b'[{"id":"a/b","downloads":1e30}]',
        b"[" * 100_000,
        found(*["a/b"] * (hub_replies.MOST_FOUND + 1)),
    ],
)
def test_a_search_of_another_form_is_not_believed(said: bytes) -> None:
    with pytest.raises((UnreadableError, msgspec.DecodeError)):
        hub_replies.matches(said, 5)


def test_the_hub_is_searched_for_gguf(hub_server: HubServer) -> None:
    hub_server.answers[SEARCH] = reply(found("a/b"), headers=JSON)
    assert [match.id for match in Hub(5.0).search("tiny one", 3)] == ["a/b"]


async def test_a_repository_that_the_hub_does_not_list_is_found_all_the_same(
    hub_server: HubServer,
) -> None:
    hub_server.answers[SEARCH] = reply(found("a/b", "owner/repo"), headers=JSON)
    hub_server.answers[LISTING] = reply(body(GOOD), headers=JSON)
    queries = HubQueries(Hub(5.0), lambda *_: None)
    [(one, nothing), (two, files)] = await queries.search("tiny one", 3)
    assert (one.id, nothing, two.id) == ("a/b", None, "owner/repo")
    assert files is not None and len(files.files) == 1


async def test_what_answers_without_a_search_is_told_as_such(hub_server: HubServer) -> None:
    with pytest.raises(DownloadFailed, match=r"could not be searched for 'x': .*has no search"):
        await HubQueries(Hub(5.0), lambda *_: None).search("x", 3)


async def test_an_endless_search_is_given_up(hub_server: HubServer) -> None:
    hub_server.answers[SEARCH] = reply(b" " * (hub_replies.SEARCH_BYTES + 1), headers=JSON)
    with pytest.raises(DownloadFailed, match="more than 4 MB"):
        await HubQueries(Hub(5.0), lambda *_: None).search("tiny one", 3)
