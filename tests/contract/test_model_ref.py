"""A model reference: every form of CONTRACT.md is read, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rbee.contract import model_ref
from rbee.contract.errors import InvalidModelRef, RbeeError, UnsupportedModelFormat
from rbee.contract.model_ref import ModelRef, parse


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("hf:owner/repo", ModelRef("hf", "owner/repo")),
        ("hf:owner/repo:Q8_0", ModelRef("hf", "owner/repo", quantization="Q8_0")),
        ("hf:owner/repo/dir/m.gguf", ModelRef("hf", "owner/repo", file="dir/m.gguf")),
        ("hf:owner/repo@v1.0", ModelRef("hf", "owner/repo", "v1.0")),
        ("hf:owner/repo@main:Q4_K_M", ModelRef("hf", "owner/repo", None, None, "Q4_K_M")),
        ("hf:owner/repo@main/m.gguf", ModelRef("hf", "owner/repo", None, "m.gguf")),
        ("owner/repo", ModelRef("hf", "owner/repo")),
        ("owner/repo:q8_0", ModelRef("hf", "owner/repo", quantization="Q8_0")),
        ("file:/models/a b.gguf", ModelRef("file", "/models/a b.gguf")),
        ("bundled:smollm2-135m-instruct", ModelRef("bundled", "smollm2-135m-instruct")),
    ],
)
def test_each_form_is_read(text: str, ref: ModelRef) -> None:
    assert parse(text) == ref


@pytest.mark.parametrize("rest", ["", ":Q8_0", "/dir/m.gguf"])
def test_the_main_revision_is_the_same_as_none(rest: str) -> None:
    assert parse(f"hf:owner/repo@main{rest}") == parse(f"hf:owner/repo{rest}")
    assert str(parse(f"hf:owner/repo@main{rest}")) == f"hf:owner/repo{rest}"


def test_a_revision_that_only_begins_like_main_is_another_one() -> None:
    assert parse("hf:owner/repo@main2").revision == "main2"
    assert parse("hf:owner/repo@MAIN").revision == "MAIN"


@pytest.mark.parametrize(
    ("alias", "meaning"),
    [
        ("tinyllama", "hf:TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF"),
        ("smollm2", "bundled:smollm2-135m-instruct"),
    ],
)
def test_a_built_in_alias_stands_for_its_reference(alias: str, meaning: str) -> None:
    assert str(parse(alias)) == meaning


def test_the_built_in_qwen_alias_names_a_repository() -> None:
    assert parse("qwen-0.5b").scheme == "hf"


def test_an_alias_of_the_configuration_is_known() -> None:
    assert parse("mine", {"mine": "file:/m.gguf"}) == ModelRef("file", "/m.gguf")


def test_an_alias_of_the_configuration_goes_before_a_built_in_one() -> None:
    assert parse("tinyllama", {"tinyllama": "own/one"}).name == "own/one"


def test_an_alias_may_not_name_another_alias() -> None:
    with pytest.raises(InvalidModelRef):
        parse("mine", {"mine": "tinyllama"})


def test_an_error_behind_an_alias_quotes_what_it_stands_for() -> None:
    with pytest.raises(InvalidModelRef, match="'mine' is wrong: 'file:relative") as caught:
        parse("mine", {"mine": "file:relative.gguf"})
    assert caught.value.details["value"] == "file:relative.gguf"
    with pytest.raises(InvalidModelRef) as caught:
        parse("mine", {"mine": "tinyllama"})
    assert caught.value.details["near"] == []
    with pytest.raises(UnsupportedModelFormat, match="mine"):
        parse("mine", {"mine": "hf:a/b/c.onnx"})


def test_a_misspelt_alias_is_told_the_near_one() -> None:
    with pytest.raises(InvalidModelRef) as caught:
        parse("tinylama")
    assert caught.value.details["near"] == ["tinyllama"]
    assert "tinyllama" in caught.value.advice


def test_a_word_that_is_near_to_nothing_is_told_the_forms() -> None:
    with pytest.raises(InvalidModelRef) as caught:
        parse("zzzzzzzzzzzz")
    assert all(form in caught.value.advice for form in model_ref.FORMS)
    assert "Did you mean" not in caught.value.advice


@pytest.mark.parametrize("path", ["/models/m.gguf", "./m.gguf", "~/m.gguf"])
def test_a_bare_path_is_told_to_be_a_file_reference(path: str) -> None:
    with pytest.raises(InvalidModelRef) as caught:
        parse(path)
    assert caught.value.details["near"] == [f"file:{path}"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hf:",
        "hf:owner",
        "hf:owner/",
        "hf:/repo",
        "hf:owner/repo:",
        "hf:owner/repo@",
        "hf:owner/repo/m.txt",
        "hf:owner/repo/../../m.gguf",
        "hf:owner/repo/m.gguf:Q8_0",
        "hf:-owner/repo",
        "hf:owner/repo\n",
        "hf:own er/repo",
        "hf:owner/" + "r" * 97,
        "http://example.org/m.gguf",
        "file:",
        "file:m.gguf",
        "file:/m\0.gguf",
        "bundled:",
        "bundled:other",
        "smollm2 ",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidModelRef) as caught:
        parse(text)
    assert caught.value.details["value"] == text
    assert caught.value.details["forms"] == list(model_ref.FORMS)


@pytest.mark.parametrize(
    "text",
    [
        "hf:owner/repo/m.safetensors",
        "owner/repo/m.safetensors",
        "hf:owner/repo/m.bin",
    ],
)
def test_a_file_of_another_format_is_named_as_such(text: str) -> None:
    with pytest.raises(UnsupportedModelFormat) as caught:
        parse(text)
    assert caught.value.details["value"] == text


@pytest.mark.parametrize("path", ["/m.bin", "/m.safetensors", "/m"])
def test_a_file_on_disk_may_have_any_name_since_its_header_decides(path: str) -> None:
    assert parse(f"file:{path}").name == path


_NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
_TAIL = st.one_of(
    st.just(""),
    _NAME.map(lambda name: f"/{name}.gguf"),
    st.from_regex(r":[A-Za-z][A-Za-z0-9_]{0,15}", fullmatch=True),
)
_REVISION = st.one_of(st.just(""), _NAME.map(lambda name: f"@{name}"))
_HF = st.builds("{}{}/{}{}{}".format, st.sampled_from(["hf:", ""]), _NAME, _NAME, _REVISION, _TAIL)
_FILE = st.text().map(lambda path: f"file:/{path}")


@given(st.one_of(st.text(), _HF, _FILE, st.sampled_from(sorted(model_ref.ALIASES))))
@example("hf:a/b@c/d.gguf")
@example("file:/hf:a/b")
def test_any_text_is_a_reference_that_survives_writing_or_one_of_two_errors(text: str) -> None:
    try:
        ref = parse(text)
    except RbeeError as error:
        assert error.code in ("INVALID_MODEL_REF", "UNSUPPORTED_MODEL_FORMAT")
        assert error.advice
    else:
        assert parse(str(ref)) == ref


@given(_NAME, _NAME, _REVISION, _TAIL)
def test_every_well_formed_repository_reference_is_read(
    owner: str, repo: str, revision: str, tail: str
) -> None:
    ref = parse(f"hf:{owner}/{repo}{revision}{tail}")
    assert ref.name == f"{owner}/{repo}"
    assert (ref.revision or "") == revision.removeprefix("@")


def test_another_bundled_model_is_told_the_one_that_there_is() -> None:
    with pytest.raises(InvalidModelRef) as caught:
        parse("bundled:other")
    assert caught.value.details["near"] == ["bundled:smollm2-135m-instruct"]


def test_a_relative_file_is_told_to_need_its_whole_path() -> None:
    with pytest.raises(InvalidModelRef) as caught:
        parse("file:m.gguf")
    words = "'file:m.gguf' is not a model reference: a file needs its absolute path."
    assert caught.value.message == words


def test_a_file_of_another_format_is_told_the_forms() -> None:
    with pytest.raises(UnsupportedModelFormat) as caught:
        parse("owner/repo/m.pt")
    assert caught.value.details["forms"] == list(model_ref.FORMS)


def test_at_most_three_aliases_are_near() -> None:
    aliases = {f"mine-{number}": "file:/m.gguf" for number in range(5)}
    with pytest.raises(InvalidModelRef) as caught:
        parse("mine-9", aliases)
    assert len(caught.value.details["near"]) == 3
    with pytest.raises(InvalidModelRef) as caught:
        parse("abcdefgh", {"abcdzzzz": "file:/m.gguf", "abczzzzz": "file:/m.gguf"})
    assert caught.value.details["near"] == ["abcdzzzz"]
