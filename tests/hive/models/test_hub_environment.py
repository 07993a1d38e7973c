"""What the environment says of the way to the Hub, and what is wrong with it."""

from __future__ import annotations

import os

import pytest

from rbee.hive.models.hub_environment import (
    Proxy,
    UnusableError,
    check_endpoint,
    check_proxy,
    proxy_for,
)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name == "HF_ENDPOINT":
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    "value", ["https://huggingface.co", "http://127.0.0.1:8000/", "https://[::1]:80", "HTTPS://A/b"]
)
def test_the_address_of_a_server_will_do(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    check_endpoint()
    monkeypatch.setenv("HF_ENDPOINT", value)
    check_endpoint()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "is empty"),
        (" ", "not an address"),
        ("hf-mirror.com", "not an address"),
        ("//hf-mirror.com", "not an address"),
        ("hf-mirror.com:443", "not an address"),
        ("ftp://hf-mirror.com", "not an address"),
        ('"https://hf-mirror.com"', "not an address"),
        ("https://hf-mirror.com:99999", "not an address"),
        ("https://hf-mirror.com:port", "not an address"),
        ("https://[::1", "not an address"),
        ("https://", "not the address of a server"),
        ("https:///models", "not the address of a server"),
        ("https://hf-mirror.com?a=b", "not the address of a server"),
    ],
)
def test_what_is_not_the_address_of_a_server_is_named(
    monkeypatch: pytest.MonkeyPatch, value: str, words: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", value)
    with pytest.raises(UnusableError, match=f"HF_ENDPOINT .*{words}") as caught:
        check_endpoint()
    assert "HF_ENDPOINT" in caught.value.hint
    assert "restart the hive" in caught.value.hint


def test_each_kind_of_address_has_its_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_for("https", "huggingface.co", None) is None
    monkeypatch.setenv("ALL_PROXY", "socks5://all:1080")
    monkeypatch.setenv("HTTPS_PROXY", "secure:3128")
    assert proxy_for("https", "a", None) == Proxy("HTTPS_PROXY", "http://secure:3128")
    assert proxy_for("http", "a", None) == Proxy("ALL_PROXY", "socks5://all:1080")
    monkeypatch.setenv("https_proxy", "http://small:1")
    assert proxy_for("https", "a", None) == Proxy("https_proxy", "http://small:1")


@pytest.mark.parametrize(
    ("exceptions", "host", "is_exempt"),
    [
        ("*", "huggingface.co", True),
        ("huggingface.co", "huggingface.co", True),
        ("huggingface.co", "cdn.huggingface.co", True),
        ("huggingface.co", "nothuggingface.co", False),
        (".huggingface.co", "cdn.huggingface.co", True),
        ("*.huggingface.co", "cdn.huggingface.co", True),
        ("a, HUGGINGFACE.co ,b", "huggingface.co", True),
        ("huggingface.co:443", "huggingface.co", True),
        ("huggingface.co:8443", "huggingface.co", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "huggingface.co", False),
        ("127.0.0.3", "127.0.0.3", True),
        ("127.0.0.3:443", "127.0.0.3", True),
        ("::1", "::1", True),
        ("[::1]", "::1", True),
        ("fd00::/8", "fd00::7", True),
        ("fd00::/8", "10.1.2.3", False),
        ("", "huggingface.co", False),
        (",,.,*.,:", "huggingface.co", False),
        ("[::1", "huggingface.co", False),
    ],
)
def test_some_servers_are_reached_without_one(
    monkeypatch: pytest.MonkeyPatch, exceptions: str, host: str, is_exempt: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert (proxy_for("https", host, None) is None) is is_exempt


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("socks://me:s3cret@host:1080", "with socks://, and rbee knows http://"),
        ("socks4://host:1080", "with socks4://"),
        ("ftp://host", "with ftp://"),
        ("http://me:s3cret@", "does not hold the address"),
        ("http://host:99999", "does not hold the address"),
        ("http://host:s3cret", "does not hold the address"),
        ("http://ho st", "does not hold the address"),
        ("http://[::1", "does not hold the address"),
    ],
)
def test_a_proxy_that_can_not_be_used_is_named_and_its_password_is_not(
    url: str, words: str
) -> None:
    with pytest.raises(UnusableError, match=f"HTTPS_PROXY .*{words}") as caught:
        check_proxy(Proxy("HTTPS_PROXY", url))
    assert "NO_PROXY" in caught.value.hint
    assert "s3cret" not in caught.value.reason + caught.value.hint


@pytest.mark.parametrize("url", ["http://host", "https://me:secret@host:1", "http://[::1]:3128/"])
def test_a_proxy_with_an_address_can_be_used(url: str) -> None:
    check_proxy(Proxy("HTTPS_PROXY", url))
