"""The proof of a key: what is signed, and for which addresses a daemon signs."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract.proof import ProofWanted, endpoint_of, is_own_address, message, proof_of

NONCE = "00112233445566778899aabbccddeeff"
DIGEST = hashlib.sha256(b"key-of-the-queen").digest()

Parts = tuple[str, str, str, str, str]
any_parts = st.tuples(*(st.text("ab:/é\x00", max_size=4) for _ in range(5)))


def wanted(**given: Any) -> ProofWanted:
    here = {"nonce": NONCE, "address": "127.0.0.1:8080", "host": "localhost:8080"}
    return ProofWanted(**{**here, **given})


def signed(parts: Parts) -> bytes:
    return message(parts[0], ProofWanted(*parts[1:]))


@given(any_parts, any_parts)
def test_no_two_different_proofs_are_made_of_the_same_bytes(one: Parts, other: Parts) -> None:
    assert (signed(one) == signed(other)) == (one == other)


def test_another_implementation_makes_the_same_proof() -> None:
    """This value is in the reference, for who writes one."""
    expected = "498050738f0e64dc1c94603f4657e0db723c3df83b07ceb8896d6e045ba21857"
    assert proof_of(DIGEST, "queen-rbee", wanted()) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": NONCE[:-1] + "0"},
        {"address": "127.0.0.1:8081"},
        {"host": "127.0.0.1:8080"},
        {"key_id": "abcd2345"},
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
    assert is_own_address(asked, own, frozenset(declared)) is expected
