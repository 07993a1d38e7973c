"""HTTPS between the keeper's transport and a daemon's listener, and what both say of others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from rbee.contract.daemons import Ack
from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.errors import ConfigInvalid, ConnectionTimeout, TlsFailed
from rbee.keeper.certificates import authority
from rbee.keeper.certificates.names import Names
from rbee.runtime import server
from rbee.runtime.certificate import Certificate
from rbee.runtime.client import Client, address
from rbee.runtime.connections import Connections
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.plain_transport import PlainTransport
from rbee.runtime.tls_listener import TlsListener
from tests.certificates import pair

WELL = Endpoint("GET", "/health", Nothing, Ack, open=True)
SLOW = Endpoint("GET", "/slow", Nothing, Ack, open=True)


@contextlib.asynccontextmanager
async def daemon(
    folder: Path, handshake_s: float = 10, begun: asyncio.Event | None = None
) -> AsyncIterator[str]:
    """The URL of a daemon with the pair in `folder`. It has at most three connections. `begun` is
    set when it was asked for SLOW."""

    async def well(_: web.Request, __: Nothing) -> Ack:
        return Ack("well")

    async def slow(_: web.Request, __: Nothing) -> Ack:
        if begun is not None:
            begun.set()
        await asyncio.sleep(1.5)
        return Ack("well")

    app = server.application(Lifecycle("queen-rbee", None, None))
    server.answer(app, WELL, well)
    server.answer(app, SLOW, slow)
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    sock = socket.create_server(("127.0.0.1", 0))
    url = f"https://127.0.0.1:{sock.getsockname()[1]}"
    certificate = Certificate(folder / "cert.pem", folder / "key.pem")
    connections = Connections(runner.server, 3, stall_s=60)
    listener = TlsListener(connections, certificate, sock, url, handshake_s)
    yield url
    listener.close()
    await runner.cleanup()


def client(url: str, ca: Path | None) -> Client:
    return Client(url, None, 5, 5, PlainTransport(ca))


async def asked(url: str, ca: Path | None) -> str:
    async with client(url, ca) as found:
        return (await found.call(WELL)).message


async def shown(url: str) -> bytes:
    """The certificate that the daemon shows."""
    return (await asyncio.to_thread(ssl.get_server_certificate, address(url))).encode()


async def raw(url: str, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(*address(url))
    writer.write(sent)
    return reader, writer


async def ended(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(3):
        with contextlib.suppress(ConnectionError):
            return await reader.read()
        return b""


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_a_daemon_answers_by_each_of_its_names(tmp_path: Path, name: str) -> None:
    cert, _ = pair(tmp_path, ["127.0.0.1", "localhost"])
    async with daemon(tmp_path) as url:
        assert await asked(url.replace("127.0.0.1", name), cert) == "well"


async def test_a_wrong_name_an_unknown_ca_and_wrong_times_are_told_apart(tmp_path: Path) -> None:
    ca, _ = pair(tmp_path / "other")
    for folder, names, since, until, trusts, reason in (
        ("name", ["127.0.0.9"], -1.0, 9.0, None, "wrong_name"),
        ("dns", ["queen.local"], -1.0, 9.0, None, "wrong_name"),
        ("ca", ["127.0.0.1"], -1.0, 9.0, ca, "unknown_ca"),
        ("system", ["127.0.0.1"], -1.0, 9.0, Path("/etc/ssl/none"), None),
    ):
        cert, _ = pair(tmp_path / folder, names, since, until)
        async with daemon(tmp_path / folder) as url:
            with pytest.raises((TlsFailed, ConfigInvalid)) as raised:
                await asked(url, trusts or cert)
            assert raised.value.details.get("reason") == reason, folder
            assert raised.value.exit_code == (1 if reason else 2)
            assert raised.value.advice


@pytest.mark.parametrize(
    ("since", "until", "reason"), [(-9, -1, "expired"), (1, 9, "not_yet_valid")]
)
async def test_a_server_with_a_certificate_of_another_time_is_told(
    tmp_path: Path, since: float, until: float, reason: str
) -> None:
    cert, key = pair(tmp_path, since=since, until=until)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    found = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with found:
        port = found.sockets[0].getsockname()[1]
        with pytest.raises(TlsFailed) as raised:
            await asked(f"https://127.0.0.1:{port}", cert)
    assert raised.value.details == {"host": "127.0.0.1", "port": port, "reason": reason}


async def test_plain_http_behind_an_https_address_is_told(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    cert, _ = pair(tmp_path)
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as found:
        port = found.sockets[0].getsockname()[1]
        with pytest.raises(TlsFailed, match="does not speak TLS") as raised:
            await asked(f"https://127.0.0.1:{port}", cert)
    assert raised.value.details["reason"] == "no_tls"


async def test_nothing_behind_an_https_address_is_told_as_elsewhere(tmp_path: Path) -> None:
    cert, _ = pair(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ConnectionTimeout):
        await asked(f"https://127.0.0.1:{port}", cert)


@pytest.mark.parametrize(
    "sent", [b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HELO", b"\r\n"]
)
async def test_what_does_not_speak_tls_is_told_so_in_the_envelope(
    tmp_path: Path, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    pair(tmp_path)
    with caplog.at_level(logging.INFO):
        async with daemon(tmp_path) as url:
            for _ in range(5):
                reader, writer = await raw(url, sent)
                head, _, body = (await ended(reader)).partition(b"\r\n\r\n")
                writer.close()
                assert head.startswith(b"HTTP/1.1 400 ")
                error = json.loads(body)["error"]
                assert (error["code"], error["details"]["reason"]) == ("TLS_FAILED", "tls_required")
    told = [each for each in caplog.records if "refused what is not TLS" in each.message]
    assert len(told) in (1, 2)  # one a second


async def test_the_client_that_asks_in_plain_http_learns_what_to_do(tmp_path: Path) -> None:
    cert, _ = pair(tmp_path)
    async with daemon(tmp_path) as url:
        with pytest.raises(TlsFailed) as raised:
            await asked(url.replace("https", "http"), cert)
    assert raised.value.advice == "Use an address that begins with https://."


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"])
async def test_a_handshake_that_does_not_end_is_closed(tmp_path: Path, sent: bytes) -> None:
    pair(tmp_path)
    async with daemon(tmp_path, handshake_s=0.5) as url:
        reader, writer = await raw(url, sent)
        begun = asyncio.get_running_loop().time()
        assert await ended(reader) == b""
        assert 0.4 < asyncio.get_running_loop().time() - begun < 3
        writer.close()


async def test_a_connection_has_its_place_before_it_speaks_tls(tmp_path: Path) -> None:
    cert, _ = pair(tmp_path)
    async with daemon(tmp_path) as url:
        silent = [await raw(url) for _ in range(3)]
        assert await asked(url, cert) == "well"
        assert await ended(silent[0][0]) == b""
        for _, writer in silent:
            writer.close()


async def test_a_new_certificate_does_not_touch_a_request_that_runs(tmp_path: Path) -> None:
    old, _ = pair(tmp_path)
    before, begun = old.read_bytes(), asyncio.Event()
    async with daemon(tmp_path, begun=begun) as url:
        async with client(url, old) as found:
            running = asyncio.create_task(found.call(SLOW))
            await begun.wait()
            assert await shown(url) == before
            pair(tmp_path)
            assert (await running).message == "well"
        assert await shown(url) == old.read_bytes() != before


async def test_versions_of_tls_that_are_broken_are_refused(tmp_path: Path) -> None:
    pair(tmp_path)
    async with daemon(tmp_path) as url:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning):
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(OSError):
            await asyncio.open_connection(*address(url), ssl=context)


@pytest.mark.parametrize("content", ["", "no certificate", None])
async def test_a_ca_file_that_can_not_be_used_is_told(tmp_path: Path, content: str | None) -> None:
    pair(tmp_path)
    ca = tmp_path / "ca.pem"
    if content is not None:
        ca.write_text(content)
    async with daemon(tmp_path) as url:
        with pytest.raises(ConfigInvalid) as raised:
            await asked(url, ca)
    assert raised.value.details["key"] == "queen.ca" and str(ca) in raised.value.message


async def test_the_ca_that_was_made_here_is_trusted_besides_those_of_the_system(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that has made a CA can still use a queen with a public certificate."""
    public, _ = pair(tmp_path / "public")
    named = Names(["localhost"], ["127.0.0.1"])
    own = authority.create("box", named)
    pem, key, _ = own.sign(named, 30)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "cert.pem").write_bytes(pem)
    (tmp_path / "own" / "key.pem").write_bytes(key)
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    (home / ".rbee").mkdir()
    async with daemon(tmp_path / "public") as theirs, daemon(tmp_path / "own") as ours:
        with pytest.raises(TlsFailed):
            await asked(ours, None)
        (home / ".rbee" / "ca.pem").write_bytes(own.pem)
        assert await asked(ours, None) == await asked(theirs, None) == "well"
        with pytest.raises(TlsFailed):
            await asked(ours, public)
