"""The same as the standard library's hashes, on every path to them."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rbee.contract import hashing


@given(some.binary(max_size=300))
def test_the_sha256_is_that_of_hashlib(data: bytes) -> None:
    assert hashing.sha256(data) == hashlib.sha256(data).digest()


@given(some.binary(max_size=300), some.binary(max_size=300))
def test_the_hmac_is_that_of_the_standard_library(key: bytes, data: bytes) -> None:
    assert hashing.hmac_sha256(key, data) == hmac.digest(key, data, hashlib.sha256)


@pytest.mark.parametrize("length", [0, 32, 63, 64, 65, 200])
def test_a_key_may_have_any_length(length: int) -> None:
    key = b"k" * length
    assert hashing.hmac_sha256(key, b"data") == hmac.digest(key, b"data", hashlib.sha256)


@pytest.mark.parametrize(("other", "is_equal"), [(b"ab", True), (b"aB", False), (b"abc", False)])
def test_equal_is_what_agrees_in_every_byte(other: bytes, is_equal: bool) -> None:
    assert hashing.is_equal(b"ab", other) is is_equal
