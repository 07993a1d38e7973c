"""`rbee-keeper auth certificate`: what it makes, keeps, refuses and says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rbee.keeper.certificates import authority

Keeper = Callable[..., Any]
FILES = ("ca.pem", "ca-key.pem", "queen.pem", "queen-key.pem")


def contents(home: Path) -> list[bytes]:
    return [(home / ".rbee" / name).read_bytes() for name in FILES]


def made(keeper: Keeper, *words: str) -> dict[str, Any]:
    done = keeper("auth", "certificate", *words, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_renewal_keeps_the_ca_and_replaces_the_certificate(keeper: Keeper, home: Path) -> None:
    first, before = made(keeper), contents(home)
    second, after = made(keeper), contents(home)
    assert [old == new for old, new in zip(before, after, strict=True)] == [
        True,
        True,
        False,
        False,
    ]
    assert (first["ca_is_new"], second["ca_is_new"]) == (True, False)
    assert first["ca_fingerprint"] == second["ca_fingerprint"]


def test_a_new_ca_replaces_everything(keeper: Keeper, home: Path) -> None:
    first, before = made(keeper), contents(home)
    second, after = made(keeper, "--new-ca"), contents(home)
    assert not any(old == new for old, new in zip(before, after, strict=True))
    assert second["ca_is_new"] and first["ca_fingerprint"] != second["ca_fingerprint"]


def test_a_name_for_which_the_ca_may_not_sign_changes_nothing(keeper: Keeper, home: Path) -> None:
    made(keeper)
    before = contents(home)
    done = keeper("auth", "certificate", "--name", "llm.example.org")
    assert done.exit_code == 2
    assert "may not sign for llm.example.org" in done.stderr and "--new-ca" in done.stderr
    assert contents(home) == before
    assert "llm.example.org" in made(keeper, "--new-ca", "--name", "llm.example.org")["names"]
    assert "llm.example.org" in made(keeper, "--name", "llm.example.org")["names"]


def test_an_address_that_the_machine_got_later_is_left_out_and_told(
    keeper: Keeper, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(keeper)
    monkeypatch.setenv("RBEE_QUEEN_HOST", "203.0.113.9")
    assert made(keeper)["left_out"] == ["203.0.113.9"]
    told = keeper("auth", "certificate").stdout
    assert "The CA may not sign for 203.0.113.9" in told and "--new-ca" in told


def test_a_broken_ca_is_told_and_nothing_is_made(keeper: Keeper, home: Path) -> None:
    made(keeper)
    (home / ".rbee" / "ca-key.pem").unlink()
    before = (home / ".rbee" / "queen.pem").read_bytes()
    done = keeper("auth", "certificate")
    assert done.exit_code == 2 and "ca-key.pem" in done.stderr
    assert (home / ".rbee" / "queen.pem").read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [["--days", "0"], ["--days", "826"], ["--name", "a b"], ["--name", ""], ["--name", "com"]],
)
def test_impossible_values_are_refused(keeper: Keeper, home: Path, words: list[str]) -> None:
    assert keeper("auth", "certificate", *words).exit_code == 2
    assert not (home / ".rbee" / "ca.pem").exists()


def test_it_says_how_to_use_it_and_how_to_trust_it(keeper: Keeper, home: Path) -> None:
    told = keeper("auth", "certificate").stdout
    assert f'tls_cert = "{home}/.rbee/queen.pem"' in told
    assert f'tls_key = "{home}/.rbee/queen-key.pem"' in told
    for words in ("update-ca-certificates", "trust anchor", "add-trusted-cert", "certutil"):
        assert words in told
    for variable in ("SSL_CERT_FILE=", "REQUESTS_CA_BUNDLE=", "NODE_EXTRA_CA_CERTS="):
        assert f"{variable}{home}/.rbee/ca.pem" in told
    assert authority.load(home / ".rbee/ca.pem", home / ".rbee/ca-key.pem").fingerprint in told


def test_once_it_is_used_a_renewal_says_only_what_is_new(keeper: Keeper, home: Path) -> None:
    config = home / ".config" / "rbee" / "config.toml"
    assert str(config) in keeper("auth", "certificate", "--use").stdout
    written = config.read_text()
    told = keeper("auth", "certificate", "--use").stdout
    assert config.read_text() == written
    assert len(told.splitlines()) == 3 and "reads the new certificate" in told
    assert "update-ca-certificates" in keeper("auth", "certificate", "--new-ca").stdout
