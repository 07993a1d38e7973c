"""Where the keeper finds the queen, and whom it trusts there."""

from __future__ import annotations

from pathlib import Path

import pytest

from rbee.contract.config import Config, QueenSection
from rbee.keeper.settings import is_exposed, of


def settings_of(**queen: object) -> tuple[str, Path | None]:
    found = of(Config(queen=QueenSection(**queen)))  # type: ignore[arg-type]
    return found.queen_url, found.ca


@pytest.mark.parametrize(
    ("queen", "url"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"host": "0.0.0.0"}, "http://0.0.0.0:8080"),
        ({"tls_cert": "/c"}, "https://127.0.0.1:8080"),
        ({"tls_cert": "/c", "host": "queen.local", "port": 1}, "https://queen.local:1"),
        ({"tls_cert": "/c", "host": "0.0.0.0"}, "https://127.0.0.1:8080"),
        ({"tls_cert": "/c", "host": "::"}, "https://[::1]:8080"),
        ({"tls_cert": "/c", "url": "https://q.local"}, "https://q.local"),
    ],
)
def test_the_address_of_the_queen_follows_from_its_settings(
    queen: dict[str, object], url: str
) -> None:
    assert settings_of(**queen)[0] == url


def test_only_a_named_ca_is_the_only_one_that_is_trusted(home: Path) -> None:
    (home / ".rbee").mkdir()
    (home / ".rbee" / "ca.pem").touch()
    assert settings_of()[1] is None
    assert settings_of(ca="~/other.pem")[1] == home / "other.pem"


@pytest.mark.parametrize(
    ("url", "exposed"),
    [
        ("http://127.0.0.1:8080", False),
        ("http://localhost:8080", False),
        ("http://192.168.1.10:8080", True),
        ("http://queen.local", True),
        ("https://192.168.1.10:8080", False),
    ],
)
def test_plain_http_over_a_network_is_exposed(url: str, exposed: bool) -> None:
    assert is_exposed(url) == exposed
