"""A reference's file stays below its repository, whoever wrote it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract.errors import InvalidModelRef
from rbee.contract.model_ref import ModelRef, encoded, parse, shown


@pytest.mark.parametrize(
    "file",
    [
        "/etc/m.gguf",
        "dir//m.gguf",
        "./m.gguf",
        "dir/./m.gguf",
        "../m.gguf",
        "dir/../../m.gguf",
        "a\\..\\m.gguf",
        "a b.gguf",
        "a\nb.gguf",
        "a\0b.gguf",
        "\x1b[2Jm.gguf",
        "\x7fm.gguf",
    ],
)
def test_a_file_that_would_lie_elsewhere_or_can_not_be_shown_is_refused(file: str) -> None:
    with pytest.raises(InvalidModelRef):
        parse(f"hf:owner/repo/{file}")


@pytest.mark.parametrize(
    "file", ["m.gguf", "a/b/c.GGUF", "..m.gguf", "~/m.gguf", "größe-模型.gguf"]
)
def test_a_file_below_its_repository_is_read(file: str) -> None:
    assert parse(f"hf:owner/repo/{file}").file == file


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("my model.gguf", "my%20model.gguf"),
        ("a#1.gguf", "a%231.gguf"),
        ("100%.gguf", "100%25.gguf"),
        ("100%25.gguf", "100%2525.gguf"),
        ("who?.gguf", "who%3F.gguf"),
        ("a:b@c.gguf", "a%3Ab%40c.gguf"),
        ("modèle/größe.gguf", "mod%C3%A8le/gr%C3%B6%C3%9Fe.gguf"),
        ("模\u3000型\U0001f41d.gguf", "%E6%A8%A1%E3%80%80%E5%9E%8B%F0%9F%90%9D.gguf"),
        ("(a)+b,c=d!.gguf", "(a)+b,c=d!.gguf"),
    ],
)
def test_a_name_is_percent_encoded_where_a_reference_can_not_hold_it(file: str, text: str) -> None:
    ref = ModelRef("hf", "owner/repo", file=file)
    assert str(ref) == f"hf:owner/repo/{text}"
    assert parse(str(ref)) == ref
    assert ref.shown == shown(str(ref)) == f"hf:owner/repo/{file}"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\"), min_size=1))
def test_every_name_has_its_reference(name: str) -> None:
    file = f"a{name.replace('/', '')}.gguf"
    assert parse(f"hf:owner/repo@v1/{encoded(file)}").file == file


def test_a_percent_sign_that_encodes_nothing_is_one() -> None:
    assert parse("hf:owner/repo/100%.gguf").file == "100%.gguf"


@pytest.mark.parametrize(
    "text",
    [
        "%2e%2e/m.gguf",
        "a%2F%2Fb.gguf",
        "%2Fetc/m.gguf",
        "a%0Ab.gguf",
        "a%00b.gguf",
        "a%5Cb.gguf",
        "a%FFb.gguf",
        "a%ED%B3%BFb.gguf",
        "%1B[2Jm.gguf",
        "%7Fm.gguf",
    ],
)
def test_what_is_refused_is_refused_in_every_spelling(text: str) -> None:
    with pytest.raises(InvalidModelRef):
        parse(f"hf:owner/repo/{text}")


def test_what_is_not_a_reference_is_shown_as_it_is() -> None:
    for text in ("", "word", "hf:own er/repo", "file:/a b.gguf", "hf:owner/repo:Q8_0"):
        assert shown(text) == text


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("hf:owner/repo/my model #1.gguf", ["hf:owner/repo/my%20model%20%231.gguf"]),
        ("owner/repo@v1/a b%20c.gguf", ["hf:owner/repo@v1/a%20b%20c.gguf"]),
        ("hf:owner/repo/../a b.gguf", []),
        ("hf:owner/repo/a\\ b.gguf", []),
        ("hf:owner/repo/a\\b.gguf", []),
        ("hf:owner/repo/\udcff.gguf ", []),
        ("hf:own er/repo/m.gguf", []),
    ],
)
def test_a_name_that_is_written_as_it_is_is_told_how_to_write_it(
    written: str, near: list[str]
) -> None:
    with pytest.raises(InvalidModelRef) as caught:
        parse(written)
    assert caught.value.details.get("near", []) == near
