"""HTTP as daemons answer it: keys, errors and correlation ids."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from rbee.contract.daemons import Ack
from rbee.contract.endpoints import SHUTDOWN, Endpoint, Nothing, Text
from rbee.contract.errors import AllSlotsBusy, ModelNotFound, StreamTruncated
from rbee.runtime import server
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.log import correlation_id

Serve = Callable[[web.Application], Awaitable[str]]


class Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    word: str


SAY = Endpoint("POST", "/say", Word, Ack, status=201)
LOOK = Endpoint("GET", "/look/{name}", Nothing, Ack)
FORGET = Endpoint("DELETE", "/forget", Nothing, Nothing, status=204)
TELL = Endpoint("GET", "/tell", Nothing, Text)
OPEN = Endpoint("GET", "/health", Nothing, Ack, open=True)

KEY = {"Authorization": "Bearer secret-key"}


@pytest.fixture
async def lifecycle() -> Lifecycle:
    return Lifecycle("queen-rbee", None, "secret-key")


@pytest.fixture
async def url(lifecycle: Lifecycle, serve: Serve) -> str:
    async def say(_: web.Request, message: Word) -> Ack:
        failures: dict[str, Exception] = {
            "full": AllSlotsBusy(slots_total=2, slots_busy=2, waiting=0),
            "lost": ModelNotFound(model="m", near=[]),
            "broken": RuntimeError("a secret of the inside"),
            "never crosses HTTP": StreamTruncated(tokens=3),
        }
        if message.word in failures:
            raise failures[message.word]
        return Ack(message.word)

    async def look(request: web.Request, _: Nothing) -> Ack:
        return Ack(f"{request.match_info['name']} {correlation_id.get()}")

    async def forget(_: web.Request, __: Nothing) -> Nothing:
        return Nothing()

    app = server.application(lifecycle)
    server.answer(app, SAY, say)
    server.answer(app, LOOK, look)
    server.answer(app, OPEN, look_open)
    server.answer(app, FORGET, forget)
    server.text(app, TELL, tell)
    server.accept_shutdown(app)
    return await serve(app)


async def look_open(_: web.Request, __: Nothing) -> Ack:
    return Ack("well")


async def tell(request: web.Request) -> str:
    if request.query:
        raise ModelNotFound(model="m", near=[])
    return "größer\nzwei 2\n"


class Reply(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def error(self) -> dict[str, Any]:
        assert set(self.body) == {"error"}
        error: dict[str, Any] = self.body["error"]
        return error


async def ask(
    method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Reply:
    given = {"Content-Type": "application/json"} if body else {}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, data=body, headers=given | (headers or {})) as response,
    ):
        data = await response.read()
        return Reply(
            response.status, dict(response.headers), msgspec.json.decode(data) if data else None
        )


@pytest.mark.behaviour("B2.4")
async def test_a_message_comes_decoded_and_the_reply_goes_encoded(url: str) -> None:
    reply = await ask("POST", f"{url}/say", b'{"word":"hello"}', KEY)
    assert (reply.status, reply.body) == (201, {"message": "hello"})
    assert reply.headers["Content-Type"].startswith("application/json")


async def test_a_text_goes_out_as_it_is(url: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/tell", headers=KEY) as response,
    ):
        assert response.status == 200
        assert response.content_type == "text/plain"
        assert await response.read() == "größer\nzwei 2\n".encode()


async def test_a_text_wants_the_key_and_fails_with_an_envelope_as_everything(url: str) -> None:
    assert (await ask("GET", f"{url}/tell")).status == 401
    reply = await ask("GET", f"{url}/tell?lost=1", headers=KEY)
    assert (reply.status, reply.error["code"]) == (404, "MODEL_NOT_FOUND")


async def test_a_204_has_no_body(url: str) -> None:
    reply = await ask("DELETE", f"{url}/forget", headers=KEY)
    assert (reply.status, reply.body) == (204, None)


@pytest.mark.behaviour("B2.4")
@pytest.mark.parametrize(
    "said",
    ["", "Bearer", "Bearer ", "Bearer wrong-key", "secret-key", "bearer wrong-key",
     "Bearer secret-key2", "Bearer secret key", "Basic secret-key", "Bearer sécret"],
)  # fmt: skip
async def test_a_wrong_key_is_401_with_an_envelope(url: str, said: str) -> None:
    reply = await ask("GET", f"{url}/look/x", headers={"Authorization": said})
    assert (reply.status, reply.error["code"]) == (401, "INVALID_API_KEY")
    assert set(reply.error["details"]) == {"host"}


@pytest.mark.parametrize(
    "said", ["Bearer secret-key", "bearer secret-key", "BEARER secret-key", "Bearer   secret-key"]
)
async def test_the_scheme_has_any_case_and_any_number_of_blanks(url: str, said: str) -> None:
    assert (await ask("GET", f"{url}/look/x", headers={"Authorization": said})).status == 200


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("", 200),
        ("Bearer", 200),
        ("bearer ", 200),
        ("Bearer wrong-key", 401),
        ("Basic secret-key", 401),
        ("Basic", 401),
    ],
)
async def test_a_key_of_its_own_header_counts_beside_an_empty_bearer(
    url: str, said: str, status: int
) -> None:
    headers = {"Authorization": said, "X-Api-Key": "secret-key"}
    assert (await ask("GET", f"{url}/look/x", headers=headers)).status == status


async def test_without_a_key_every_route_is_401(url: str) -> None:
    for method, path in (("POST", "/say"), ("GET", "/look/x"), ("POST", "/v1/admin/shutdown")):
        assert (await ask(method, url + path)).status == 401


async def test_an_unknown_route_tells_a_stranger_nothing(url: str) -> None:
    assert (await ask("GET", f"{url}/none")).status == 401


async def test_an_open_route_wants_no_key(url: str) -> None:
    assert (await ask("GET", f"{url}/health")).body == {"message": "well"}


async def test_where_no_key_is_set_none_is_wanted(lifecycle: Lifecycle, url: str) -> None:
    lifecycle.keys = None
    assert (await ask("GET", f"{url}/look/x")).status == 200


async def test_head_is_get_without_a_body(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        for path, status in (("/health", 200), ("/look/x", 401), ("/say", 401)):
            async with session.head(url + path) as reply:
                assert (reply.status, await reply.read()) == (status, b""), path


async def test_an_unknown_route_is_404_with_an_envelope(url: str) -> None:
    reply = await ask("GET", f"{url}/none", headers=KEY)
    assert (reply.status, reply.error["code"]) == (404, "INVALID_REQUEST")
    assert reply.error["details"]["errors"][0]["value"] == "/none"
    assert reply.error["details"]["hint"] == "The routes are listed in docs/reference/http.md."


async def test_a_wrong_method_is_405_with_an_envelope(url: str) -> None:
    reply = await ask("GET", f"{url}/say", headers=KEY)
    assert (reply.status, reply.error["code"]) == (405, "INVALID_REQUEST")
    assert "GET /say" in reply.error["message"]
    assert reply.headers["Allow"] == "POST"
    assert reply.error["details"]["hint"] == "Use POST."


@pytest.mark.parametrize(
    ("method", "path", "meant"),
    [
        ("POST", "/sya", "POST /say"),
        ("GET", "/says/", "POST /say"),
        ("GET", "/helth", "GET /health"),
        ("GET", "/v1/admin/shutdwn", "POST /v1/admin/shutdown"),
    ],
)
async def test_the_route_that_was_probably_meant_is_named(
    url: str, method: str, path: str, meant: str
) -> None:
    reply = await ask(method, url + path, headers=KEY)
    assert (reply.status, reply.error["details"]["hint"]) == (404, f"Did you mean {meant}?")
    assert "hint" not in (await ask(method, url + path)).error["details"]  # without the key


async def test_a_long_path_is_not_compared(url: str) -> None:
    reply = await ask("POST", f"{url}/v1/admin/shutdown{'/' * 200}", headers=KEY)
    assert "Did you mean" not in reply.error["details"]["hint"]


@pytest.mark.behaviour("B2.4")
async def test_a_bad_message_is_400_and_names_the_field(url: str) -> None:
    reply = await ask("POST", f"{url}/say", b'{"word":7}', KEY)
    assert (reply.status, reply.error["code"]) == (400, "INVALID_REQUEST")
    assert reply.error["details"]["errors"][0]["field"] == "word"


async def test_a_body_that_is_too_large_is_413_with_an_envelope(
    lifecycle: Lifecycle, serve: Serve
) -> None:
    app = server.application(lifecycle, largest_body=1000)
    server.answer(app, SAY, lambda request, message: look_open(request, Nothing()))
    reply = await ask("POST", f"{await serve(app)}/say", b" " * 1001, KEY)
    assert (reply.status, reply.error["code"]) == (413, "INVALID_REQUEST")
    assert "1000" in reply.error["message"]


async def test_an_error_has_its_status_and_its_envelope(url: str) -> None:
    reply = await ask("POST", f"{url}/say", b'{"word":"lost"}', KEY)
    assert (reply.status, reply.error["code"]) == (404, "MODEL_NOT_FOUND")
    assert reply.error["details"] == {"model": "m", "near": []}
    assert "Retry-After" not in reply.headers


async def test_what_soon_passes_says_when_to_try_again(url: str) -> None:
    reply = await ask("POST", f"{url}/say", b'{"word":"full"}', KEY)
    assert reply.status == 503
    assert int(reply.headers["Retry-After"]) >= 1
    assert (reply.error["slots_total"], reply.error["slots_busy"]) == (2, 2)


async def test_an_error_without_a_status_of_its_own_is_500(url: str) -> None:
    reply = await ask("POST", f"{url}/say", b'{"word":"never crosses HTTP"}', KEY)
    assert (reply.status, reply.error["code"]) == (500, "STREAM_TRUNCATED")


async def test_what_breaks_inside_is_internal_and_tells_nothing_but_where_to_look(
    url: str,
) -> None:
    reply = await ask(
        "POST", f"{url}/say", b'{"word":"broken"}', {**KEY, "X-Correlation-ID": "c-7"}
    )
    assert (reply.status, reply.error["code"]) == (500, "INTERNAL")
    assert reply.error["details"] == {"correlation_id": "c-7"}
    assert "secret of the inside" not in str(reply.body)


async def test_what_breaks_inside_is_logged_with_its_cause(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await ask("POST", f"{url}/say", b'{"word":"broken"}', KEY)
    [record] = [record for record in caplog.records if record.name == "http-server"]
    assert "POST /say" in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)


async def test_a_correlation_id_is_taken_and_answered(url: str) -> None:
    for given in ("c-42", "x" * 128):
        reply = await ask("GET", f"{url}/look/x", headers={**KEY, "X-Correlation-ID": given})
        assert reply.headers["X-Correlation-ID"] == given
        assert reply.body == {"message": f"x {given}"}


@pytest.mark.parametrize("given", [None, "", "x" * 129, "schön"])
async def test_a_correlation_id_is_made_where_none_can_be_taken(
    url: str, given: str | None
) -> None:
    headers = KEY if given is None else {**KEY, "X-Correlation-ID": given}
    made = (await ask("GET", f"{url}/look/x", headers=headers)).headers["X-Correlation-ID"]
    other = (await ask("GET", f"{url}/look/x", headers=headers)).headers["X-Correlation-ID"]
    assert made not in ("", given)
    assert made != other


@pytest.mark.parametrize("path", ["/none", "/say", "/look/x"])
async def test_an_error_answers_the_correlation_id_too(url: str, path: str) -> None:
    reply = await ask("GET", url + path, headers={"X-Correlation-ID": "c-9"})
    assert reply.status == 401
    assert reply.headers["X-Correlation-ID"] == "c-9"


async def test_a_draining_program_takes_no_new_work(lifecycle: Lifecycle, url: str) -> None:
    lifecycle.shut_down()
    reply = await ask("POST", f"{url}/say", b'{"word":"hello"}', KEY)
    assert (reply.status, reply.error["code"]) == (503, "SHUTTING_DOWN")
    assert "Retry-After" in reply.headers


async def test_a_draining_program_still_tells_and_still_forgets(
    lifecycle: Lifecycle, url: str
) -> None:
    lifecycle.shut_down()
    assert (await ask("GET", f"{url}/look/x", headers=KEY)).status == 200
    assert (await ask("DELETE", f"{url}/forget", headers=KEY)).status == 204
    assert (await ask("POST", url + SHUTDOWN.path, headers=KEY)).status == 202


async def test_shutdown_is_answered_and_then_begins(lifecycle: Lifecycle, url: str) -> None:
    reply = await ask("POST", url + SHUTDOWN.path, headers=KEY)
    assert reply.status == 202
    assert "queen-rbee" in reply.body["message"]
    async with asyncio.timeout(5):
        await lifecycle.draining.wait()
    assert not lifecycle.cut.is_set()


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"Host": "evil.example"}, "Host"),
        ({"Host": "127.0.0.1.evil.example:80"}, "Host"),
        ({"Origin": "http://evil.example"}, "Origin"),
        ({"Origin": "null"}, "Origin"),
    ],
)
@pytest.mark.parametrize("path", ["/health", "/look/x", "/nowhere"])
async def test_a_page_of_somebody_else_is_refused_on_every_route_before_its_key_is_looked_at(
    url: str, path: str, headers: dict[str, str], field: str
) -> None:
    reply = await ask("GET", url + path, headers=headers)
    assert (reply.status, reply.error["code"]) == (403, "INVALID_REQUEST")
    [error] = reply.error["details"]["errors"]
    assert (error["field"], error["value"]) == (field, headers[field])
    assert "[auth]" in reply.error["details"]["hint"]


async def test_names_and_origins_that_the_operator_allows_are_answered(
    url: str, lifecycle: Lifecycle
) -> None:
    lifecycle.names, lifecycle.origins = frozenset({"llm.example"}), frozenset({"http://a.example"})
    headers = {"Host": "llm.example:8080", "Origin": "http://a.example"}
    assert (await ask("GET", f"{url}/health", headers=headers)).status == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"]
)
async def test_json_is_taken_only_if_it_is_called_json(url: str, kind: str) -> None:
    body, headers = b'{"word":"hello"}', {**KEY, "Content-Type": kind}
    reply = await ask("POST", f"{url}/say", body, headers)
    assert (reply.status, reply.error["code"]) == (415, "INVALID_REQUEST")
    [error] = reply.error["details"]["errors"]
    assert (error["field"], error["value"]) == ("Content-Type", kind)
    charset = {**KEY, "Content-Type": "application/json; charset=utf-8"}
    assert (await ask("POST", f"{url}/say", body, charset)).status == 201


@pytest.mark.parametrize("kind", [None, "application/octet-stream"])
async def test_json_without_a_type_is_taken(url: str, kind: str | None) -> None:
    """LiteLLM's clients for Ollama: one names no type, the asynchronous one bytes."""
    given = {**KEY, **({"Content-Type": kind} if kind else {})}
    found = {}
    async with aiohttp.ClientSession(skip_auto_headers={"Content-Type"}) as session:
        for body in (b'{"word":"hello"}', b"word=hello"):
            async with session.post(f"{url}/say", data=body, headers=given) as response:
                assert response.request_info.headers.get("Content-Type") == kind
                found[body] = response.status
    assert [*found.values()] == [201, 400]


async def test_a_shutdown_that_a_page_could_send_is_refused(url: str, lifecycle: Lifecycle) -> None:
    headers = {**KEY, "Content-Type": "text/plain"}
    assert (await ask("POST", url + SHUTDOWN.path, headers=headers)).status == 415
    assert not lifecycle.draining.is_set()
