"""What a browser is told of a page of another origin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from rbee.contract.daemons import Ack
from rbee.contract.endpoints import Endpoint, Nothing
from rbee.runtime import cors, server
from rbee.runtime.lifecycle import Lifecycle

Serve = Callable[[web.Application], Awaitable[str]]
PAGE = "https://chat.example"
ASKS = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}


@pytest.mark.parametrize(
    ("origin", "origins", "allowed"),
    [
        (PAGE, [PAGE], True),
        (PAGE.upper(), [f"{PAGE}/"], True),
        (PAGE, ["*"], True),
        ("null", ["*"], True),
        (PAGE, [], False),
        (PAGE, ["https://other.example"], False),
        ("", ["*"], False),
        ("http://\u00fc", ["*"], False),
        ("http://a\tb", ["*"], False),
    ],
)
def test_an_origin_is_allowed_by_its_name(origin: str, origins: list[str], allowed: bool) -> None:
    assert cors.is_allowed(origin, origins) == allowed


def test_a_preflight_is_told_what_may_be_sent() -> None:
    asked = {**ASKS, "Access-Control-Request-Headers": "authorization,x-stainless-os"}
    assert cors.is_preflight(asked, [PAGE])
    assert not cors.is_preflight(asked, [])
    assert not cors.is_preflight({"Origin": PAGE}, [PAGE])
    told = cors.permission(asked)
    assert told["Access-Control-Allow-Headers"] == "authorization,x-stainless-os"
    assert "POST" in told["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Private-Network" not in told
    asked["Access-Control-Request-Private-Network"] = "true"
    assert cors.permission(asked)["Access-Control-Allow-Private-Network"] == "true"
    assert cors.permission({"Access-Control-Request-Headers": "ü"})[
        "Access-Control-Allow-Headers"
    ] == ("*")


@pytest.fixture
async def url(serve: Serve) -> str:
    lifecycle = Lifecycle("queen-rbee", None, "secret-key")
    lifecycle.origins = frozenset({PAGE})

    async def look(_: web.Request, __: Nothing) -> Ack:
        return Ack("seen")

    app = server.application(lifecycle)
    server.answer(app, Endpoint("GET", "/look", Nothing, Ack), look)
    return await serve(app)


async def test_a_page_asks_without_the_key_and_reads_answers_and_errors(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.options(f"{url}/look", headers=ASKS) as reply:
            assert reply.status == 204
            assert reply.headers["Access-Control-Allow-Origin"] == PAGE
            assert reply.headers["Vary"] == "Origin"
            assert "GET" in reply.headers["Access-Control-Allow-Methods"]
        for key, status in (("secret-key", 200), ("other", 401)):
            headers = {"Origin": PAGE, "Authorization": f"Bearer {key}"}
            async with session.get(f"{url}/look", headers=headers) as reply:
                assert reply.status == status
                assert reply.headers["Access-Control-Allow-Origin"] == PAGE
                assert "Retry-After" in reply.headers["Access-Control-Expose-Headers"]


async def test_other_pages_are_refused_and_get_no_permission(url: str) -> None:
    other = {**ASKS, "Origin": "https://evil.example"}
    async with aiohttp.ClientSession() as session:
        for ask in (session.options, session.get):
            async with ask(f"{url}/look", headers=other) as reply:
                assert reply.status == 403
                assert not [name for name in reply.headers if name.startswith("Access-Control")]
        async with session.options(f"{url}/look") as reply:  # no preflight: it wants the key
            assert reply.status == 401
        key = {"Authorization": "Bearer secret-key"}
        async with session.get(f"{url}/look", headers=key) as reply:
            assert "Access-Control-Allow-Origin" not in reply.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Api-Key": "secret-key"}, 200),
        ({"x-api-key": "wrong"}, 401),
        ({"X-Api-Key": ""}, 401),
        ({"X-Api-Key": "secret-key", "Authorization": "Bearer wrong"}, 401),
        ({"X-Api-Key": "wrong", "Authorization": "Bearer secret-key"}, 200),
        ({"X-Api-Key": "secret-key", "Authorization": ""}, 200),
    ],
)
async def test_a_key_may_come_in_a_header_of_its_own(
    url: str, headers: dict[str, str], status: int
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/look", headers=headers) as reply,
    ):
        assert reply.status == status
