"""The proof of a key: what is signed, and for which addresses a daemon signs."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract.proof import (
    ProofWanted,
    endpoint_of,
    is_loopback,
    is_own_address,
    message,
    proof_of,
)

NONCE = "00112233445566778899aabbccddeeff"
DIGEST = hashlib.sha256(b"key-of-the-queen").digest()

HERE, ELSEWHERE = "0" * 32, "e" * 32

any_text = st.text("ab:/é\x00", max_size=8)
any_cuts = st.lists(st.integers(0, 8), min_size=5, max_size=5).map(sorted)


def wanted(**given: Any) -> ProofWanted:
    here = {"nonce": NONCE, "address": "127.0.0.1:8080", "host": "localhost:8080"}
    return ProofWanted(**{**here, **given})


def parts_of(text: str, cuts: list[int]) -> list[str]:
    return [text[begin:end] for begin, end in pairwise([0, *cuts, len(text)])]


def signed(parts: list[str]) -> bytes:
    return message(parts[0], ProofWanted(*parts[1:]))


@given(any_text, any_cuts, any_cuts)
def test_no_two_different_proofs_are_made_of_the_same_bytes(
    text: str, some: list[int], others: list[int]
) -> None:
    """The same text, cut into its six parts in two ways."""
    one, other = parts_of(text, some), parts_of(text, others)
    assert (signed(one) == signed(other)) == (one == other)


def test_another_implementation_makes_the_same_proof() -> None:
    """This value is in the reference, for who writes one."""
    expected = "33b529298d0dfca274ce0259b7c6b6e2283ebfda104310ef09218852003127e0"
    assert proof_of(DIGEST, "queen-rbee", wanted()) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": NONCE[:-1] + "0"},
        {"address": "127.0.0.1:8081"},
        {"host": "127.0.0.1:8080"},
        {"key_id": "abcd2345"},
        {"machine": HERE},
    ],
)
def test_a_proof_is_for_one_question_alone(change: dict[str, str]) -> None:
    proof = proof_of(DIGEST, "queen-rbee", wanted())
    assert proof != proof_of(DIGEST, "queen-rbee", wanted(**change))
    assert proof != proof_of(DIGEST, "rbee-hive", wanted())
    assert proof != proof_of(hashlib.sha256(b"other").digest(), "queen-rbee", wanted())


@pytest.mark.parametrize(
    "bad",
    [
        {"nonce": "00" * 15},
        {"nonce": "00" * 65},
        {"nonce": "0" * 33},
        {"nonce": "é" * 32},
        {"nonce": NONCE.upper()},
        {"address": ""},
        {"address": "a b"},
        {"host": "x" * 301},
        {"key_id": "A"},
        {"machine": "0" * 31},
        {"machine": "E" * 32},
    ],
)
def test_a_question_of_another_form_is_refused(bad: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(msgspec.to_builtins(wanted(**bad)), ProofWanted)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1:80"),
        ("::1", "[::1]:80"),
        ("::ffff:127.0.0.1", "127.0.0.1:80"),
        ("0:0:0:0:0:0:0:1", "[::1]:80"),
        ("fe80::1%eth0", "[fe80::1]:80"),
        ("2001:DB8::1", "[2001:db8::1]:80"),
    ],
)
def test_an_address_has_one_spelling(host: str, expected: str) -> None:
    assert endpoint_of(host, 80) == expected


@pytest.mark.parametrize(
    ("address", "host", "own", "declared", "expected"),
    [
        ("127.0.0.1:8080", "localhost:8080", ("127.0.0.1", 8080), [], True),
        ("127.0.0.1:8080", "localhost:8080", ("::ffff:127.0.0.1", 8080), [], True),
        ("[::1]:8080", "localhost:8080", ("::1", 8080), [], True),
        # A relay listens at another port, or at another address of the same name.
        ("127.0.0.1:8080", "localhost:8080", ("127.0.0.1", 8081), [], False),
        ("[::1]:8080", "localhost:8080", ("127.0.0.1", 8080), [], False),
        ("127.0.1.1:8080", "box:8080", ("192.0.2.5", 8080), ["box"], False),
        ("192.0.2.9:8080", "192.0.2.9:8080", ("192.0.2.5", 8080), ["0.0.0.0"], False),
        ("127.0.0.1:8080", "192.0.2.5:8080", ("192.0.2.5", 8080), [], False),
        # A proxy or a router that the operator declares.
        ("198.51.100.1:443", "box:443", ("192.0.2.5", 8080), ["Box:443"], True),
        ("198.51.100.1:443", "box:443", ("192.0.2.5", 8080), ["box:8080"], False),
        ("198.51.100.1:8080", "box:8080", ("192.0.2.5", 8080), ["198.51.100.1"], True),
        ("198.51.100.1:443", "box:443", ("192.0.2.5", 8080), ["198.51.100.1"], False),
        ("198.51.100.1:443", "box:443", ("192.0.2.5", 8080), ["198.51.100.1:443"], True),
        ("[2001:db8::1]:80", "box:80", ("192.0.2.5", 80), ["2001:db8::1"], True),
        ("[2001:db8::1]:443", "box:443", ("192.0.2.5", 80), ["[2001:DB8::1]:443"], True),
        ("box", "box", ("192.0.2.5", 80), ["box"], False),
    ],
)
def test_a_daemon_answers_for_its_own_addresses_alone(
    address: str, host: str, own: tuple[str, int], declared: list[str], expected: bool
) -> None:
    asked = wanted(address=address, host=host)
    assert is_own_address(asked, own, frozenset(declared), HERE) is expected


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize(
    ("asked_from", "machine", "expected"),
    [
        (HERE, HERE, True),
        (ELSEWHERE, HERE, False),
        # Who does not know is believed.
        ("", HERE, True),
        (ELSEWHERE, "", True),
        ("", "", True),
    ],
)
def test_a_loopback_address_belongs_to_one_machine(
    address: str, asked_from: str, machine: str, expected: bool
) -> None:
    asked = wanted(address=endpoint_of(address, 8080), machine=asked_from)
    own = address, 8080
    assert is_own_address(asked, own, frozenset(), machine) is expected
    assert is_own_address(asked, own, frozenset({"127.0.0.1:8081"}), machine) is expected
    for declared in (asked.address, asked.host):
        assert is_own_address(asked, own, frozenset({declared}), machine)


def test_another_address_is_the_same_from_every_machine() -> None:
    asked = wanted(address="192.0.2.5:8080", host="box:8080", machine=ELSEWHERE)
    assert is_own_address(asked, ("192.0.2.5", 8080), frozenset(), HERE)


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("127.0.0.1:80", True),
        ("127.9.9.9:80", True),
        ("[::1]:80", True),
        ("192.0.2.5:80", False),
        ("[2001:db8::1]:80", False),
    ],
)
def test_which_addresses_are_on_every_machine(endpoint: str, expected: bool) -> None:
    assert is_loopback(endpoint) is expected
