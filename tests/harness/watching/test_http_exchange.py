"""What passes on a connection is read as HTTP has it, however it is cut into pieces."""

import pytest

from harness.watching.http_exchange import Conversation, Exchange

SERVER = "127.7.7.2", 9200

POST = b'POST /v1/workers/spawn?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"a":"b"}'
REPLY = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'14\r\nevent: token\ndata: {\r\n13\r\n"token":"a"}\n\n: kee\r\n9\r\np-alive\n\n\r\n'
    b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
)


def listen(size: int, *pieces: tuple[str, bytes]) -> list[Exchange]:
    """Pass each text in pieces of this size, each a second after the one before."""
    found: list[Exchange] = []
    conversation = Conversation(SERVER, 42, found.append)
    now = 0.0
    for way, text in pieces:
        for begin in range(0, len(text), size):
            now += 1
            getattr(conversation, way).feed(text[begin : begin + size], now)
    conversation.requests.close(now)
    conversation.replies.close(now)
    return found


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_request_and_its_reply(size: int) -> None:
    (seen,) = listen(size, ("requests", POST), ("replies", REPLY))
    assert (seen.to, seen.caller) == (SERVER, 42)
    assert (seen.method, seen.path, seen.query) == ("POST", "/v1/workers/spawn", "x=1")
    assert seen.headers["host"] == "a"
    assert seen.json == {"a": "b"}
    assert (seen.status, seen.reply_json) == (202, {})
    assert seen.ended_at


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_one_exchange_after_the_other_on_one_connection(size: int) -> None:
    delete = b"DELETE /v1/inference/x HTTP/1.1\r\n\r\n"
    nothing = b"HTTP/1.1 204 No Content\r\nContent-Type: text/plain\r\n\r\n"
    first, second, third = listen(
        size,
        ("requests", delete),
        ("replies", nothing),
        ("requests", POST),
        ("replies", STREAM),
        ("requests", POST),
        ("replies", REPLY),
    )
    assert (first.status, first.reply, second.status) == (204, b"", 200)
    assert [event.name for event in second.events] == ["token", "[DONE]"]
    assert third.status == 202


def test_each_event_has_the_time_of_its_last_byte() -> None:
    found: list[Exchange] = []
    conversation = Conversation(SERVER, None, found.append)
    conversation.requests.feed(POST, 1)
    cut = STREAM.index(b"p-alive")
    conversation.replies.feed(STREAM[:cut], 2)
    assert [event.at for event in found[0].events] == [2]
    assert found[0].ended_at is None
    conversation.replies.feed(STREAM[cut:], 3)
    assert [(event.name, event.at) for event in found[0].events] == [("token", 2), ("[DONE]", 3)]
    assert found[0].events[0].data == {"token": "a"}
    assert found[0].comments == [3]
    assert (found[0].at, found[0].answered_at, found[0].ended_at) == (1, 2, 3)


def test_a_reply_without_a_length_ends_with_the_connection() -> None:
    (seen,) = listen(5, ("requests", POST), ("replies", b"HTTP/1.0 200 OK\r\n\r\nall of it"))
    assert seen.reply == b"all of it"
    assert seen.ended_at


def test_a_reply_that_breaks_off_has_no_end() -> None:
    (seen,) = listen(1000, ("requests", POST), ("replies", STREAM[:-5]))
    assert seen.status == 200
    assert seen.ended_at is None


def test_the_reply_to_a_request_from_before_is_nobodys() -> None:
    (seen,) = listen(1000, ("replies", REPLY), ("requests", POST), ("replies", STREAM))
    assert seen.status == 200


def test_what_is_not_http_is_left_alone() -> None:
    assert listen(7, ("requests", b"SSH-2.0-x\r\n\0\0\0\0"), ("replies", b"SSH-2.0-y\r\n")) == []


def test_only_the_beginning_of_a_large_body_is_kept() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n"
    (seen,) = listen(1 << 16, ("requests", POST), ("replies", head + b"x" * 3_000_000))
    assert len(seen.reply) == 1 << 20
    assert seen.ended_at
