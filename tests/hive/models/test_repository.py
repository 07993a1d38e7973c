"""What a repository offers, which model is meant, and where its files lie."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract.errors import ModelNotFound, UnsupportedModelFormat
from rbee.contract.model_ref import FORMS, ModelRef, parse
from rbee.hive.models.repository import (
    Listing,
    RemoteFile,
    at_place,
    choose,
    models,
    named,
    pick,
    place,
    quantizations,
)

REPO = parse("hf:owner/repo")


def listing(*paths: str) -> Listing:
    return Listing("c0ffee", tuple(RemoteFile(path, 10 + len(path), "ab" * 32) for path in paths))


def offered(*paths: str) -> list[str | None]:
    return [model.reference.file for model in models(listing(*paths), REPO)]


def picked(text: str, *paths: str) -> str:
    return str(pick(listing(*paths), parse(text)).reference)


SPLIT = ["m-Q8_0-00001-of-00003.gguf", "m-Q8_0-00002-of-00003.gguf", "m-Q8_0-00003-of-00003.gguf"]


def test_every_gguf_is_a_model_and_nothing_else_is() -> None:
    assert offered("sub/M.GGUF", "README.md", "m-Q4_0.gguf", "m.safetensors", "m.gguf.txt") == [
        "m-Q4_0.gguf",
        "sub/M.GGUF",
    ]


@pytest.mark.parametrize(
    "path",
    ["mmproj-F16.gguf", "sub/mmproj-model-f16.gguf", "MMPROJ-x.gguf", "imatrix_unsloth.gguf"],
)
def test_parts_of_other_models_are_none(path: str) -> None:
    assert offered(path, "m.gguf") == ["m.gguf"]


def test_a_split_model_is_one_model_named_by_its_first_file() -> None:
    [found] = models(listing(*reversed(SPLIT)), REPO)
    assert str(found.reference) == f"hf:owner/repo/{SPLIT[0]}"
    assert [file.path for file in found.files] == SPLIT
    assert found.size_bytes == 3 * (10 + len(SPLIT[0]))
    assert (found.quantization, found.commit) == ("Q8_0", "c0ffee")


@pytest.mark.parametrize("missing", range(3))
def test_a_split_model_that_lacks_a_part_is_none(missing: int) -> None:
    there = [path for number, path in enumerate(SPLIT) if number != missing]
    assert offered(*there, "m.gguf") == ["m.gguf"]


@pytest.mark.parametrize("missing", range(3))
@pytest.mark.parametrize("wanted", ["", ":Q8_0", *(f"/{part}" for part in SPLIT)])
def test_the_missing_part_of_the_model_that_is_meant_is_named(missing: int, wanted: str) -> None:
    there = [path for number, path in enumerate(SPLIT) if number != missing]
    with pytest.raises(ModelNotFound) as caught:
        picked(f"hf:owner/repo{wanted}", *there)
    told = f"part {missing + 1} of 3 is missing: {SPLIT[missing]}"
    assert caught.value.message == f"hf:owner/repo/{SPLIT[0]} is not whole on the Hub: {told}."
    assert caught.value.advice == (
        "Ask the owner of owner/repo to upload what is missing, or use another model."
    )


def test_beside_a_model_that_lacks_a_part_the_whole_ones_are_near() -> None:
    with pytest.raises(ModelNotFound, match="part 2 of 3 is missing") as caught:
        picked("hf:owner/repo:Q8_0", SPLIT[0], SPLIT[2], "m-Q4_K_M.gguf")
    assert caught.value.details["near"] == ["hf:owner/repo:Q4_K_M"]
    assert "or use hf:owner/repo:Q4_K_M" in caught.value.advice


def test_a_whole_model_of_the_wanted_quantization_is_taken_before_one_that_lacks_a_part() -> None:
    assert picked("hf:owner/repo:Q8_0", *SPLIT[:2], "long/name-Q8_0.gguf").endswith(
        "name-Q8_0.gguf"
    )


def test_another_wish_is_not_told_of_a_model_that_lacks_a_part() -> None:
    with pytest.raises(ModelNotFound, match=r"has no Q4_K_M\.") as caught:
        picked("hf:owner/repo:Q4_K_M", *SPLIT[:2], "m-Q2_K.gguf")
    assert caught.value.details["near"] == ["hf:owner/repo:Q2_K"]


def test_a_part_in_another_folder_is_not_a_part() -> None:
    assert offered(SPLIT[0], SPLIT[1], f"sub/{SPLIT[2]}") == []


@pytest.mark.parametrize("path", ["a b.gguf", "a:b.gguf", "a@b.gguf", "é #1 100%.gguf"])
def test_a_path_that_a_reference_holds_percent_encoded_is_offered(path: str) -> None:
    assert offered(path, "m.gguf") == sorted([path, "m.gguf"])


@pytest.mark.parametrize(
    "path",
    [
        "../m.gguf",
        "a/../../m.gguf",
        "/etc/m.gguf",
        "//m.gguf",
        "./m.gguf",
        "a//m.gguf",
        "a\\b.gguf",
        "a\0b.gguf",
        "a\nb.gguf",
        "\x1b[31mm.gguf",
        "..gguf/../..gguf",
    ],
)
def test_a_path_that_can_not_be_named_is_not_offered(path: str) -> None:
    assert offered(path, "m.gguf") == ["m.gguf"]


@given(st.text(st.sampled_from("./\\~ma\0\n@:-"), max_size=12).map(lambda text: f"{text}.gguf"))
def test_no_offered_file_lies_outside_its_repository(path: str) -> None:
    for model in models(listing(path), REPO):
        where = place(model.reference, model.files[0].path)
        assert where.parts[:2] == ("owner", "repo")
        assert ".." not in where.parts
        assert not where.is_absolute()


def test_the_revision_is_part_of_the_name() -> None:
    [found] = models(listing("m.gguf"), parse("hf:owner/repo@v1"))
    assert str(found.reference) == "hf:owner/repo@v1/m.gguf"


def test_a_file_is_meant_by_its_path() -> None:
    assert picked("hf:owner/repo/b/m.gguf", "m.gguf", "b/m.gguf") == "hf:owner/repo/b/m.gguf"


@pytest.mark.parametrize("part", SPLIT)
def test_a_split_model_is_meant_by_any_of_its_parts(part: str) -> None:
    assert picked(f"hf:owner/repo/{part}", *SPLIT) == f"hf:owner/repo/{SPLIT[0]}"


def test_a_quantization_is_meant_by_its_name() -> None:
    found = picked("hf:owner/repo:q8_0", "m-Q4_K_M.gguf", "m-Q8_0.gguf")
    assert found == "hf:owner/repo/m-Q8_0.gguf"


def test_without_a_wish_four_bits_are_chosen() -> None:
    found = picked("hf:owner/repo", "m-F16.gguf", "m-Q2_K.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf")
    assert found == "hf:owner/repo/m-Q4_K_M.gguf"


def test_of_several_with_one_quantization_the_plainest_is_taken() -> None:
    found = picked("hf:owner/repo", "extra/model-Q4_K_M.gguf", "m-Q4_K_M.gguf", "n-Q4_K_M.gguf")
    assert found == "hf:owner/repo/m-Q4_K_M.gguf"


def test_a_repository_whose_files_name_no_quantization_has_its_plainest_taken() -> None:
    assert picked("hf:owner/repo", "sub/model.gguf", "model.gguf") == "hf:owner/repo/model.gguf"


def test_a_file_with_a_quantization_goes_before_one_without() -> None:
    assert picked("hf:owner/repo", "m.gguf", "model-Q8_0.gguf").endswith("model-Q8_0.gguf")


def test_nothing_offered_is_nothing_chosen() -> None:
    assert choose(models(listing(), REPO), REPO) is None
    assert choose(models(listing(), REPO), parse("hf:owner/repo:Q8_0")) is None


def test_a_misspelt_file_is_reported_its_near_names() -> None:
    with pytest.raises(ModelNotFound) as caught:
        picked("hf:owner/repo/model-Q4_K_N.gguf", "model-Q4_K_M.gguf", "README.md")
    assert caught.value.details["near"] == ["hf:owner/repo/model-Q4_K_M.gguf"]
    assert "owner/repo has no model-Q4_K_N.gguf" in caught.value.message
    assert "Did you mean hf:owner/repo/model-Q4_K_M.gguf?" in caught.value.advice


def test_a_quantization_that_is_not_there_is_reported_those_that_are() -> None:
    with pytest.raises(ModelNotFound) as caught:
        picked("hf:owner/repo@v1:Q5_K_M", "m-Q4_K_M.gguf", "m-Q8_0.gguf")
    near = caught.value.details["near"]
    assert set(near) == {"hf:owner/repo@v1:Q4_K_M", "hf:owner/repo@v1:Q8_0"}
    assert near[0] == "hf:owner/repo@v1:Q4_K_M"
    assert caught.value.details["model"] == "hf:owner/repo@v1:Q5_K_M"


@pytest.mark.parametrize("other", ["model.safetensors", "pytorch_model.bin"])
def test_a_repository_in_another_format_is_reported_as_such(other: str) -> None:
    with pytest.raises(UnsupportedModelFormat) as caught:
        picked("hf:owner/repo", "config.json", other)
    assert caught.value.details["value"] == "hf:owner/repo"
    assert "GGUF" in caught.value.message


def test_a_repository_without_any_model_is_reported_as_such() -> None:
    with pytest.raises(ModelNotFound) as caught:
        picked("hf:owner/repo", "README.md", "mmproj-F16.gguf")
    assert caught.value.details["near"] == []


def test_quantizations_are_reported_once_each_and_in_order() -> None:
    found = models(listing("a-Q8_0.gguf", "a-Q4_K_M.gguf", "b-Q4_K_M.gguf", "plain.gguf"), REPO)
    assert quantizations(found) == ["Q4_K_M", "Q8_0"]


def test_another_content_has_another_identity() -> None:
    file = RemoteFile("m.gguf", 10, "ab" * 32)
    assert file.identity == "10-abababababababab"
    assert RemoteFile("m.gguf", 11, "ab" * 32).identity != file.identity
    assert RemoteFile("m.gguf", 10, "ac" * 32).identity != file.identity
    assert RemoteFile("m.gguf", 10, None).identity == "10-unknown"


def test_a_file_lies_below_its_repository_and_revision() -> None:
    assert place(REPO, "sub/m.gguf") == PurePosixPath("owner/repo/sub/m.gguf")
    assert place(parse("hf:owner/repo@v1"), "m.gguf") == PurePosixPath("owner/repo@v1/m.gguf")


_WORD = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)
_REVISION = st.none() | _WORD.filter(lambda word: word != "main")
_STEP = st.text(st.sampled_from("abZ09._-~+ü模"), min_size=1, max_size=6).filter(
    lambda step: step not in (".", "..")
)
_FILE = st.lists(_STEP, max_size=2).map(lambda steps: "/".join([*steps, "m.gguf"]))


@given(_WORD, _WORD, _REVISION, _FILE)
def test_what_lies_in_a_place_is_what_was_put_there(
    owner: str, repo: str, revision: str | None, file: str
) -> None:
    ref = named(f"{owner}/{repo}", revision, file)
    assert ref == ModelRef("hf", f"{owner}/{repo}", revision, file)
    assert at_place(place(ref, file)) == ref


_ANY = st.text(st.sampled_from("am@.-/ \\:"), min_size=1, max_size=6) | st.sampled_from(
    ["main", "r@main", "r@", "@", "r@v1", "..", "a"]
)


@given(st.lists(_ANY, min_size=1, max_size=4))
def test_no_two_places_have_one_reference(parts: list[str]) -> None:
    where = PurePosixPath(*parts, "m.gguf")
    ref = at_place(where)
    if ref is not None:
        assert ref.file is not None
        assert place(ref, ref.file) == where


@pytest.mark.parametrize(
    "where",
    [
        "m.gguf",
        "owner/m.gguf",
        "o w/r/m.gguf",
        "o/r/notes.txt",
        "o/r@main/m.gguf",
        "o/r@/m.gguf",
        "o/r@a@b/m.gguf",
    ],
)
def test_another_place_is_none_of_a_repository(where: str) -> None:
    assert at_place(PurePosixPath(where)) is None


def test_a_repository_without_a_model_is_told_in_whole() -> None:
    with pytest.raises(UnsupportedModelFormat) as other:
        pick(listing("m.safetensors"), REPO)
    assert other.value.message == "owner/repo holds no GGUF file."
    assert other.value.details == {"value": "hf:owner/repo", "forms": list(FORMS)}
    with pytest.raises(ModelNotFound) as none:
        pick(listing("README.md"), REPO)
    assert none.value.message == "owner/repo holds no GGUF model."
    assert none.value.details == {"model": "hf:owner/repo", "near": []}


def test_the_nearest_four_quantizations_are_named() -> None:
    paths = [f"m-{name}.gguf" for name in ("Q2_K", "Q3_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16")]
    with pytest.raises(ModelNotFound) as caught:
        pick(listing(*paths), parse("hf:owner/repo@v1:Q4_0"))
    assert caught.value.message == "owner/repo has no Q4_0."
    assert caught.value.details["model"] == "hf:owner/repo@v1:Q4_0"
    near = caught.value.details["near"]
    assert len(near) == 4
    assert set(near[:2]) == {"hf:owner/repo@v1:Q3_K_M", "hf:owner/repo@v1:Q5_K_M"}


def test_the_nearest_files_are_named() -> None:
    with pytest.raises(ModelNotFound) as caught:
        pick(listing("model-a.gguf", "other.gguf"), parse("hf:owner/repo/model-b.gguf"))
    assert caught.value.message == "owner/repo has no model-b.gguf."
    assert caught.value.details["near"][0] == "hf:owner/repo/model-a.gguf"
