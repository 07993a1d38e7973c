"""The Hub behind a proxy: which one is asked, and what is said of one that does not do it."""

from __future__ import annotations

import importlib.util
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rbee.contract.errors import DownloadFailed
from rbee.contract.model_ref import parse
from rbee.hive.models.hub import Hub
from rbee.hive.models.hub_errors import TransientError
from rbee.runtime import bind
from tests.hive.conftest import HubServer, refuse

REF = parse("hf:owner/repo")
LISTING = "/api/models/owner/repo?blobs=true"


@pytest.fixture(autouse=True)
def no_proxies(hub_server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    hub_server.holds({"m.gguf": b"GGUF"})


@pytest.fixture
def proxy(hub_server: HubServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """It answers for the Hub, of which it is asked with the whole address."""
    server = HubServer()
    server.answers[f"{hub_server.url}{LISTING}"] = hub_server.answers[LISTING]
    monkeypatch.setenv("HTTP_PROXY", server.url.replace("//", "//me:s3cret@"))
    yield server
    server.close()


def test_the_proxy_of_the_environment_is_asked(hub_server: HubServer, proxy: HubServer) -> None:
    assert Hub(5.0).listing(REF).files[0].path == "m.gguf"
    assert proxy.paths == [f"{hub_server.url}{LISTING}"]
    assert proxy.header("proxy-authorization") is not None
    assert hub_server.paths == []


def test_it_is_not_asked_for_what_needs_none(
    hub_server: HubServer, proxy: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.0/8")
    Hub(5.0).listing(REF)
    assert (proxy.paths, hub_server.paths) == ([], [LISTING])


def test_one_that_wants_a_name_and_password_is_told_as_such(
    hub_server: HubServer, proxy: HubServer
) -> None:
    proxy.answers[f"{hub_server.url}{LISTING}"] = refuse(407)
    with pytest.raises(DownloadFailed, match="proxy that HTTP_PROXY names wants another") as caught:
        Hub(5.0).listing(REF)
    assert "NAME:PASSWORD" in caught.value.advice
    assert "s3cret" not in caught.value.message


def test_one_that_does_not_answer_is_told_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    with bind.listening_socket("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    with pytest.raises(TransientError) as caught:
        Hub(5.0).listing(REF)
    assert caught.value.reason == "Connection refused (through the proxy that http_proxy names)"


@pytest.mark.parametrize("url", ["socks://127.0.0.1:1", "http://127.0.0.1:99999", "nonsense://"])
def test_one_that_can_not_be_used_is_named_at_once_and_only_when_needed(
    hub_server: HubServer, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", url)
    hub = Hub(5.0)
    with pytest.raises(DownloadFailed, match="ALL_PROXY") as caught:
        hub.listing(REF)
    assert "ALL_PROXY" in caught.value.advice
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert hub.listing(REF).files


def test_certificates_that_can_not_be_read_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    with pytest.raises(DownloadFailed, match=r"SSL_CERT_FILE .*No such file") as caught:
        Hub(5.0).listing(REF)
    assert "SSL_CERT_FILE" in caught.value.advice


def test_the_package_for_socks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("socksio") is not None:
        pytest.skip("the package is here")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    with pytest.raises(DownloadFailed, match="SOCKS") as caught:
        Hub(5.0).listing(REF)
    assert "pip install 'rbee[socks]'" in caught.value.advice


def test_a_socks_proxy_leads_to_the_hub(
    hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("socksio")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asked: list[bytes] = []
        threading.Thread(target=_socks5, args=[listener, asked], daemon=True).start()
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{listener.getsockname()[1]}")
        assert Hub(5.0).listing(REF).files[0].path == "m.gguf"
    port = int(hub_server.url.rpartition(":")[2])
    assert asked == [b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big")]
    assert hub_server.paths == [LISTING]


def _socks5(listener: socket.socket, asked: list[bytes]) -> None:
    """Connect one client to the IPv4 address that it names (RFC 1928)."""
    client, _ = listener.accept()
    client.recv(3)
    client.sendall(b"\x05\x00")
    asked.append(client.recv(10))
    host, port = socket.inet_ntoa(asked[0][4:8]), int.from_bytes(asked[0][8:], "big")
    server = socket.create_connection((host, port))
    client.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
    back = threading.Thread(target=_copy, args=[server, client], daemon=True)
    back.start()
    _copy(client, server)
    back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(4096):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)
