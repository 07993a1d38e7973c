"""What a machine is called, and for what its CA may sign."""

from __future__ import annotations

import ipaddress
import socket
from types import SimpleNamespace

import psutil
import pytest

from rbee.contract.errors import InvalidRequest
from rbee.keeper.certificates import names
from rbee.keeper.certificates.names import Names


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = ["127.0.0.1", "192.168.1.5", "::1", "fe80::1%eth0", "2001:db8::5", "aa:bb:cc:00"]
    found = {"eth0": [SimpleNamespace(address=each) for each in addresses]}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)
    monkeypatch.setattr(socket, "gethostname", lambda: "Box.example.org")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_machine_has_its_names_and_every_address_that_an_url_can_have(
    machine: None, host: str
) -> None:
    found = names.of_machine(host)
    assert found.dns == ["localhost", "box.example.org", "box.local"]
    assert found.ips == ["127.0.0.1", "::1", "192.168.1.5", "2001:db8::5"]


def test_the_address_that_the_queen_listens_on_is_among_them(machine: None) -> None:
    assert "10.9.8.7" in names.of_machine("10.9.8.7").ips
    assert "queen.home.arpa" in names.of_machine("queen.home.arpa").dns


@pytest.mark.parametrize(
    ("typed", "certified"),
    [
        ("LLM.Example.org.", "llm.example.org"),
        ("my_box.lan", "my_box.lan"),
        ("LocalHost", "localhost"),
        ("bärbel.local", "xn--brbel-gra.local"),
        ("FD00::0:1", "fd00::1"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_a_name_is_certified_in_the_form_that_clients_compare(typed: str, certified: str) -> None:
    assert names.given([typed, typed]).all == [certified]


@pytest.mark.parametrize(
    "typed",
    ["", " ", "a b", "*.local", "a..b", "https://a", "a:80", "-a", "a" * 64, "a/b", "a\x00"],
)
def test_what_is_not_a_name_is_refused(typed: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        names.given([typed])
    assert raised.value.details["errors"][0]["field"] == "--name"


@pytest.mark.parametrize("machine_name", ["ai", "com", "ai.example.org", "dev.local", "App"])
def test_no_name_that_may_be_a_top_level_domain_is_taken_from_the_machine(
    monkeypatch: pytest.MonkeyPatch, machine_name: str
) -> None:
    """The CA of a machine that is called `ai` could sign for bank.ai."""
    monkeypatch.setattr(socket, "gethostname", lambda: machine_name)
    found = names.of_machine(machine_name)
    short = machine_name.lower().partition(".")[0]
    assert f"{short}.local" in found.dns
    assert [each for each in found.dns if "." not in each] == ["localhost"]


@pytest.mark.parametrize("typed", ["com", "ai", "Dev.", "box", "2130706433"])
def test_a_typed_name_without_a_dot_is_refused_with_what_to_type(typed: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        names.given(["box.local", typed])
    assert raised.value.details["errors"][0]["value"] == typed
    assert f"--name {typed.lower().rstrip('.')}.local" in raised.value.advice


def test_a_ca_may_not_sign_below_a_name_without_a_dot() -> None:
    allowed = names.domains(Names(["ai", "com", "localhost", "internal", "a.b"], []))
    assert allowed == ["localhost", "local", "internal", "home.arpa", "a.b"]


def test_a_ca_may_sign_for_local_names_and_networks_and_for_its_own_machine() -> None:
    own = Names(["box.example.org", "box.local", "llm.example.org"], ["192.168.1.5", "2001:db8::5"])
    assert names.domains(own) == [
        *("localhost", "local", "internal", "home.arpa"),
        *("box.example.org", "llm.example.org"),
    ]
    found = names.networks(own)
    assert found[-1] == ipaddress.ip_network("2001:db8::5/128")
    assert not [each for each in found[:-1] if each.is_global]
