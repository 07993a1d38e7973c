"""The errors: CONTRACT.md's table, written out here a second time, against the classes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract import errors
from rbee.contract.errors import (
    AllSlotsBusy,
    ErrorBody,
    ErrorEnvelope,
    Internal,
    InvalidRequest,
    ModelNotFound,
    RbeeError,
)

# code: (HTTP status, details), as CONTRACT.md has them.
TABLE: dict[str, tuple[int | None, set[str]]] = {
    "NODE_NOT_FOUND": (404, {"node"}),
    "SSH_CONNECTION_FAILED": (502, {"host", "port", "reason"}),
    "CONNECTION_TIMEOUT": (503, {"host", "port", "attempts"}),
    "VERSION_MISMATCH": (409, {"program", "version", "other_program", "other_version"}),
    "MODEL_NOT_FOUND": (404, {"model", "near"}),
    "MODEL_GATED": (403, {"model", "url"}),
    "MODEL_IN_USE": (409, {"model", "workers"}),
    "DOWNLOAD_FAILED": (502, {"model", "attempts", "bytes_downloaded", "bytes_total", "reason"}),
    "CHECKSUM_MISMATCH": (502, {"file", "expected", "actual"}),
    "DISK_FULL": (507, {"required", "available", "path"}),
    "VRAM_EXHAUSTED": (507, {"node", "device", "required", "available"}),
    "BACKEND_UNAVAILABLE": (409, {"backend", "available"}),
    "MODEL_CORRUPT": (422, {"file", "reason"}),
    "UNSUPPORTED_MODEL_FORMAT": (400, {"value", "forms"}),
    "INVALID_MODEL_REF": (400, {"value", "forms"}),
    "INVALID_REQUEST": (400, {"errors"}),
    "PROMPT_TOO_LONG": (400, {"errors"}),
    "INVALID_API_KEY": (401, {"host"}),
    "KEY_NOT_PROVEN": (502, {"address", "holder"}),
    "WRONG_ROLE": (403, {"key", "role", "required"}),
    "MODEL_NOT_ALLOWED": (403, {"key", "model", "allowed"}),
    "TOO_MANY_REQUESTS": (429, {"key", "limit"}),
    "ALL_SLOTS_BUSY": (503, {"slots_total", "slots_busy", "waiting"}),
    "QUEUE_FULL": (503, {"slots_total", "slots_busy", "waiting"}),
    "WORKER_CRASHED": (502, {"worker_id", "node", "tokens", "max_tokens", "log_tail"}),
    "LOADING_TIMEOUT": (504, {"node", "state", "layers_loaded", "layers_total"}),
    "STREAM_TRUNCATED": (None, {"tokens"}),
    "PORT_BLOCKED": (502, {"host", "port"}),
    "SHUTTING_DOWN": (503, set()),
    "REQUEST_CANCELED": (499, set()),
    "ADDRESS_IN_USE": (None, {"address", "holder"}),
    "INTERNAL": (500, {"correlation_id"}),
}

# What a raise may give, key by key: what is read as a list must be one.
LISTS = {"near", "allowed", "forms", "errors", "available"}


def every_class() -> list[type[RbeeError]]:
    found: list[type[RbeeError]] = []
    rest = list(RbeeError.__subclasses__())
    while rest:
        cls = rest.pop()
        found.append(cls)
        rest.extend(cls.__subclasses__())
    return found


def by_code(code: str) -> type[RbeeError]:
    """The class that a body of this code comes back as."""
    return type(RbeeError.from_body(ErrorBody(code, "told")))


def some_details(cls: type[RbeeError]) -> dict[str, Any]:
    lists = LISTS if cls.code != "DISK_FULL" and cls.code != "VRAM_EXHAUSTED" else set()
    given: dict[str, Any] = {key: f"the-{key}" for key in cls.keys}
    given.update({key: [] for key in cls.keys if key in lists})
    given.update({key: 3 for key in cls.keys if key.startswith("slots_")})
    return given


@pytest.mark.parametrize("code", TABLE)
def test_the_contract_names_the_status(code: str) -> None:
    assert by_code(code).code == code
    assert by_code(code).status == TABLE[code][0]


@pytest.mark.parametrize(
    "code",
    TABLE,
)
def test_the_contract_names_the_details(code: str) -> None:
    assert set(by_code(code).keys) == TABLE[code][1]


@pytest.mark.parametrize("cls", every_class(), ids=lambda cls: cls.__name__)
def test_a_forgotten_detail_is_a_type_error(cls: type[RbeeError]) -> None:
    details = some_details(cls)
    cls(**details)
    for key in cls.keys:
        rest = {name: value for name, value in details.items() if name != key}
        with pytest.raises(TypeError, match=key):
            cls(**rest)


@pytest.mark.parametrize("cls", every_class(), ids=lambda cls: cls.__name__)
def test_message_and_advice_are_rendered_from_the_details(cls: type[RbeeError]) -> None:
    error = cls(**some_details(cls))
    assert error.message
    assert "{" not in error.message + error.advice


@pytest.mark.parametrize("cls", every_class(), ids=lambda cls: cls.__name__)
def test_an_envelope_without_details_can_still_be_shown(cls: type[RbeeError]) -> None:
    for message in ("told", ""):
        error = RbeeError.from_body(ErrorBody(cls.code, message))
        assert error.code == cls.code
        assert error.message
        assert isinstance(error.advice, str)


@pytest.mark.parametrize("cls", every_class(), ids=lambda cls: cls.__name__)
def test_an_error_comes_over_the_wire_as_what_it_was(cls: type[RbeeError]) -> None:
    sent = cls("in words", **some_details(cls))
    wire = msgspec.json.encode(sent.envelope())
    got = RbeeError.from_body(msgspec.json.decode(wire, type=ErrorEnvelope).error)
    assert (got.code, got.message, got.details) == (sent.code, "in words", sent.details)
    assert isinstance(sent, type(got))


@pytest.mark.parametrize("code", TABLE)
def test_an_error_that_came_without_details_can_be_passed_on(code: str) -> None:
    wire = msgspec.json.encode(RbeeError.from_body(ErrorBody(code, "in words")).envelope())
    assert msgspec.json.decode(wire, type=ErrorEnvelope).error.code == code


def test_an_unknown_code_is_internal_and_keeps_its_words() -> None:
    got = RbeeError.from_body(ErrorBody("OF_A_LATER_VERSION", "in words", {"more": 1}))
    assert isinstance(got, Internal)
    assert (got.message, got.details["more"]) == ("in words", 1)


@pytest.mark.parametrize("key", ["message", "self"])
def test_a_detail_may_have_any_name(key: str) -> None:
    got = RbeeError.from_body(ErrorBody("INTERNAL", "in words", {key: "x"}))
    assert got.message == "in words"


def test_all_slots_busy_carries_its_numbers_beside_the_code() -> None:
    wire = msgspec.json.encode(AllSlotsBusy(slots_total=4, slots_busy=3, waiting=0).envelope())
    error = msgspec.json.decode(wire)["error"]
    assert (error["slots_total"], error["slots_busy"]) == (4, 3)
    assert error["details"] == {"slots_total": 4, "slots_busy": 3, "waiting": 0}


def test_no_other_error_carries_slots() -> None:
    wire = msgspec.json.encode(ModelNotFound(model="m", near=[]).envelope())
    assert set(msgspec.json.decode(wire)["error"]) == {"code", "message", "details"}


@pytest.mark.parametrize("cls", every_class(), ids=lambda cls: cls.__name__)
def test_only_what_soon_passes_is_tried_again(cls: type[RbeeError]) -> None:
    retry_after = cls(**some_details(cls)).retry_after_s
    assert (retry_after is not None) == (cls.status in (429, 503))


def test_a_usage_error_ends_a_program_with_2_and_others_with_1() -> None:
    codes = {cls.code: cls.exit_code for cls in every_class()}
    assert codes.pop("CONFIG_INVALID") == 2
    assert set(codes.values()) == {1}


def test_no_two_branches_share_a_code() -> None:
    for cls in every_class():
        sharing = [other for other in every_class() if other.code == cls.code]
        root = max(sharing, key=lambda other: len(other.__subclasses__()))
        assert all(issubclass(other, root) for other in sharing)


def test_a_missing_route_comes_back_as_an_invalid_request() -> None:
    sent = errors.NotFound.of("path", "a route", "There is none", "/x")
    assert sent.status == 404
    assert isinstance(RbeeError.from_body(sent.envelope().error), InvalidRequest)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModelNotFound(model="m", near=["a", "b"]), "a, b"),
        (ModelNotFound(model="bundled:x", near=[]), "pip install"),
        (ModelNotFound(model="hf:a/b", near=[]), "Hugging Face"),
        (errors.ModelGated(model="hf:a/b", url="https://hub/a/b"), "https://hub/a/b"),
        (errors.ModelInUse(model="hf:a/b", workers=["worker-1"]), "its worker"),
        (errors.DiskFull(required=9, available=1, path="/m"), "rbee-keeper models disk-usage"),
        (errors.ChecksumMismatch(file="/m", expected="a", actual="b"), "was removed"),
        (errors.ChecksumMismatch(file="/m", expected="a", actual="b", kept="hf:a/b/m.gguf"),
         "models delete hf:a/b/m.gguf"),
        (ModelNotFound(model="file:/x", near=[]), "path"),
        (errors.BackendUnavailable(backend="cuda", available=["cpu"]), "cpu"),
        (errors.BackendUnavailable(backend="cuda", available=[]), "none"),
        (errors.AddressInUse(address="h:1", holder="nginx (pid 7)"), "nginx (pid 7)"),
        (errors.InvalidApiKey(host="h", config_path="/etc/x.toml"), "/etc/x.toml"),
        (Internal(correlation_id="abc123"), "abc123"),
        (InvalidRequest.of("top_k", "int", "Expected int", "x"), "Correct top_k"),
        (errors.VersionMismatch(
            program="keeper", version="0.1.0", other_program="queen-rbee", other_version="0.2.0"
        ), "rbee==0.2.0"),
    ],
)  # fmt: skip
def test_the_advice_says_what_helps(error: RbeeError, words: str) -> None:
    assert words in error.advice


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
_DETAIL_NAMES = st.sampled_from(["node", "host", "port", "reason", "tokens", "value", "more"])


@given(st.sampled_from(sorted(TABLE)), st.dictionaries(_DETAIL_NAMES, _JSON))
def test_whatever_the_details_are_the_message_stays(code: str, details: dict[str, Any]) -> None:
    got = RbeeError.from_body(ErrorBody(code, "in words", details))
    assert got.message == "in words"
    assert isinstance(got.advice, str)
