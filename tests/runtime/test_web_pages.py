"""Which names a daemon answers to, and which pages it lets ask."""

from __future__ import annotations

import pytest

from rbee.runtime.web_pages import is_own_name, is_welcome


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8080",
        "192.168.1.5:8080",
        "[::1]:8080",
        "[fe80::1]",
        "localhost",
        "LOCALHOST:8080",
        "localhost.:8080",
        "box.local:8080",
        "queen.home.arpa",
        "box:9200",
        "Box",
        "llm.example.org:8080",
    ],
)
def test_a_daemon_answers_to_addresses_and_to_its_own_names(host: str) -> None:
    assert is_own_name(host, ["box", "LLM.example.org"])


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evillocalhost",
        "box.evil.example",
        "local",
        "2130706433",
        "0x7f.1",
        "",
        ":8080",
        "\udcff",
        "a b",
        "localhost/evil.example",
        "evil.example@localhost",
        "localhost:port",
        "[::1",
        "127.0.0.1#",
    ],
)
def test_a_daemon_does_not_answer_to_other_names(host: str) -> None:
    assert not is_own_name(host, ["box"])


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://LOCALHOST:8080", "localhost:8080"),
        ("http://localhost", "localhost"),
        ("http://localhost", "localhost:80"),
        ("http://localhost:80", "localhost"),
        ("https://chat.example.org", "127.0.0.1:8080"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_a_page_of_the_daemon_itself_and_of_an_allowed_origin_may_ask(
    origin: str, host: str
) -> None:
    assert is_welcome(origin, host, ["https://chat.example.org/"])


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "127.0.0.1:8080"),
        ("http://127.0.0.1:3000", "127.0.0.1:8080"),
        ("http://127.0.0.1", "127.0.0.1:8080"),
        ("https://127.0.0.1", "127.0.0.1:80"),
        ("null", "127.0.0.1:8080"),
        ("", "127.0.0.1:8080"),
        ("file://", "127.0.0.1:8080"),
        ("http://chat.example.org", "127.0.0.1:8080"),
        ("https://chat.example.org.evil.example", "127.0.0.1:8080"),
        ("http://127.0.0.1:8080/path", "127.0.0.1:8080"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("chrome-extension://abc", "127.0.0.1:8080"),
    ],
)
def test_no_other_page_may_ask(origin: str, host: str) -> None:
    assert not is_welcome(origin, host, ["https://chat.example.org"])


def test_a_star_lets_every_page_ask() -> None:
    assert is_welcome("http://evil.example", "127.0.0.1:8080", ["*"])


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("queen.home.example.org", True),
        ("Queen.HOME.example.org.:8080", True),
        ("home.example.org", False),
        ("a.queen.home.example.org", False),
        (".home.example.org", False),
        ("queenhome.example.org", False),
        ("queen.home.example.org.evil.example", False),
    ],
)
def test_a_wildcard_of_the_certificate_stands_for_one_label(host: str, is_own: bool) -> None:
    assert is_own_name(host, ["*.Home.example.org"]) == is_own
