"""What the holder of a key may ask for, and what it gets to see."""

from __future__ import annotations

import pytest

from rbee.contract.config import ModelsSection
from rbee.contract.errors import InvalidModelRef, ModelNotAllowed, WrongRole
from rbee.contract.keys import CreateKey
from rbee.contract.model_ref import parse
from rbee.contract.models import Disk, NodeModelRow, NodeModelRows
from rbee.contract.workers import NodeWorkerRow
from rbee.queen.keys.access import Access
from rbee.runtime.keyring import OPERATOR, Caller

GUEST = Caller("guest", "use")
NARROW = Caller("narrow", "use", ("hf:o/r:Q8_0",))
CONFIGURED = "file:/m/house.gguf"
REFERENCES = ["hf:o/r/m-Q8_0.gguf", "hf:o/r/m-Q4_0.gguf", "file:/m/private.gguf", CONFIGURED]


@pytest.fixture
def access() -> Access:
    aliases = {"house": CONFIGURED, "broken": "nonsense", "eight": "hf:o/r:q8_0"}
    return Access(ModelsSection(aliases=aliases))


def listing() -> NodeModelRows:
    rows = [
        NodeModelRow(
            node="localhost",
            id=1,
            provider="hf",
            reference=reference,
            local_path="/m",
            size_bytes=1,
            downloaded_at_unix=None,
            quantization=None,
            sha256=None,
        )
        for reference in REFERENCES
    ]
    return NodeModelRows(rows, [Disk("localhost", "/m", 2, 1)], ["/m/private2.gguf is gone"])


def workers() -> list[NodeWorkerRow]:
    return [
        NodeWorkerRow(
            worker_id=f"w-{number}",
            node="localhost",
            state="idle",
            model_ref=reference,
            url="http://127.0.0.1:8001",
            backend="cpu",
            device=0,
            slots_total=1,
            slots_available=1,
        )
        for number, reference in enumerate(REFERENCES)
    ]


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        (OPERATOR, REFERENCES),
        (Caller("boss", "manage"), REFERENCES),
        (GUEST, [*REFERENCES[:2], CONFIGURED]),
        (NARROW, REFERENCES[:1]),
    ],
    ids=lambda value: value.name if isinstance(value, Caller) else "",
)
def test_a_list_has_what_the_key_may_use(access: Access, who: Caller, seen: list[str]) -> None:
    assert [row.reference for row in access.models(who, listing()).models] == seen
    assert [row.model_ref for row in access.workers(who, workers())] == seen


def test_notes_which_may_name_any_file_are_for_those_who_manage(access: Access) -> None:
    assert access.models(GUEST, listing()).notes == []
    assert access.models(OPERATOR, listing()).notes == ["/m/private2.gguf is gone"]
    assert access.models(GUEST, listing()).disks == listing().disks


def test_a_refusal_names_the_model_and_what_is_allowed(access: Access) -> None:
    with pytest.raises(ModelNotAllowed) as caught:
        access.check(NARROW, parse("hf:o/r:Q4_0"), force=False)
    assert caught.value.details == {
        "key": "narrow",
        "model": "hf:o/r:Q4_0",
        "allowed": ["hf:o/r:Q8_0"],
    }
    assert "--model hf:o/r:Q8_0" in caught.value.advice
    with pytest.raises(ModelNotAllowed) as caught:
        access.check(GUEST, parse("file:/m/private.gguf"), force=False)
    assert caught.value.details["allowed"] == []
    assert "by its repository or an alias" in caught.value.advice


def test_a_default_that_is_a_file_is_the_operators_word() -> None:
    access = Access(ModelsSection(default="file:/m/default.gguf"))
    access.check(GUEST, parse("file:/m/default.gguf"), force=False)


@pytest.mark.parametrize("default", ["file:/home/me/secret.gguf", "hf:me/secret", "mine"])
def test_a_refusal_does_not_tell_what_the_default_is(default: str) -> None:
    aliases = {"mine": "file:/home/me/secret.gguf"}
    with pytest.raises(ModelNotAllowed) as caught:
        access = Access(ModelsSection(default=default, aliases=aliases))
        access.check(NARROW, parse(default, aliases), force=False, is_named=False)
    assert caught.value.message == "The key narrow may not use the default model."
    assert caught.value.details["model"] == "the default model"


def test_who_guesses_the_default_is_not_told_that_it_is_right() -> None:
    for default in ("hf:me/secret", "hf:me/other"):
        with pytest.raises(ModelNotAllowed) as caught:
            access = Access(ModelsSection(default=default))
            access.check(NARROW, parse("hf:me/secret"), force=False)
        assert caught.value.details["model"] == "hf:me/secret"


def test_a_refusal_does_not_tell_which_file_an_alias_is() -> None:
    aliases = {"mine": "file:/home/me/secret.gguf", "eight": "hf:o/s:Q8_0"}
    access = Access(ModelsSection(aliases=aliases))
    for asked, told in (("mine", "mine"), ("hf:o/s:Q8_0", "hf:o/s:Q8_0"), ("hf:o/t", "hf:o/t")):
        with pytest.raises(ModelNotAllowed) as caught:
            access.check(NARROW, parse(asked, aliases), force=False)
        assert caught.value.details["model"] == told


def test_only_those_who_manage_load_what_may_not_fit(access: Access) -> None:
    access.check(OPERATOR, parse("hf:o/r"), force=True)
    with pytest.raises(WrongRole, match="--force"):
        access.check(GUEST, parse("hf:o/r"), force=True)


def test_aliases_are_resolved_when_a_key_is_made(access: Access) -> None:
    asked = CreateKey(name="phone", models=["eight", "o/r"], limit=2)
    assert access.whole(asked) == CreateKey(name="phone", models=["hf:o/r:Q8_0", "hf:o/r"], limit=2)
    with pytest.raises(InvalidModelRef):
        access.whole(CreateKey(name="phone", models=["nothing"]))
