"""What models of each family write, taken apart. The marks are those of the families' templates."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract.tasks import Function, Tool
from rbee.worker.model.tool_formats.parser import Form, Parser, form_of

PLACE = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
TOOLS = [Tool(Function("weather", parameters=PLACE)), Tool(Function("now"))]

Said = list[tuple[str, str]]


def form(family: str, prompt: str = "", tools: Sequence[Tool] = TOOLS, **more: Any) -> Form:
    template = TEMPLATES[family]
    found = form_of(template, prompt, lambda _: False, tools, "tools" in template, **more)
    assert found is not None
    return found


def read(form: Form, parts: Iterable[str], controls: Sequence[str] = (), cut: bool = False) -> Said:
    """The channels and their texts. A call begins with its name."""
    parser, said = Parser(form), Said()
    pieces = [piece for part in parts for piece in parser.feed(part, part in controls)]
    index = -1
    for piece in [*pieces, *parser.finish(cut)]:
        channel, text = piece.channel, piece.text
        if piece.call is not None:
            assert piece.call.index in (index, index + 1)
            assert (piece.call.name is None) == (piece.call.index == index)
            assert (piece.call.id is None) == (piece.call.index == index)
            if piece.call.name:
                channel, index = piece.call.name, index + 1  # type: ignore[assignment]
                said.append((channel, text))
                continue
            said[-1] = (said[-1][0], said[-1][1] + text)
        elif said and said[-1][0] == channel:
            said[-1] = (channel, said[-1][1] + text)
        else:
            said.append((channel, text))
    return said


FAMILIES = tomllib.loads((Path(__file__).parent / "families.toml").read_text())["family"]
TEMPLATES = {family["name"]: family["template"] for family in FAMILIES}
CASES: list[tuple[str, str, Said]] = [
    (family["name"], answer["text"], [(channel, text) for channel, text in answer["said"]])
    for family in FAMILIES
    for answer in family.get("answer", ())
]
PARIS = '{"city": "Paris"}'
IDS = [f"{family}: {text[:30]}" for family, text, _ in CASES]


@pytest.mark.parametrize(("family", "text", "said"), CASES, ids=IDS)
def test_each_family_is_taken_apart(family: str, text: str, said: Said) -> None:
    assert read(form(family), [text]) == said


@pytest.mark.parametrize(("family", "text", "said"), CASES, ids=IDS)
def test_no_cut_changes_what_is_said(family: str, text: str, said: Said) -> None:
    assert read(form(family), text) == said
    for cut in range(1, len(text)):
        assert read(form(family), [text[:cut], text[cut:]]) == said


@given(st.sampled_from(sorted(TEMPLATES)), st.data())
def test_whatever_a_model_writes_is_the_same_however_it_is_cut(family: str, data: Any) -> None:
    """Also half a call, and calls within calls."""
    marks = [text for name, text, _ in CASES if name == family]
    bits = [bit for text in marks for bit in (text, text[: len(text) // 2], text[len(text) // 3 :])]
    known = st.sampled_from(["{", "}", '"', "<", "\n", " a ", "[", "]", *bits])
    text = "".join(data.draw(st.lists(known | st.text(max_size=3), max_size=6)))
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=5))
    edges = [0, *sorted(cuts), len(text)]
    parts = [text[a:b] for a, b in itertools.pairwise(edges)]
    assert read(form(family), parts) == read(form(family), [text])


@pytest.mark.parametrize("family", sorted(TEMPLATES))
@given(text=st.text(alphabet="ab {}[]<>|\"'`:=/\n_tool"))
def test_text_without_a_call_stays_as_it_is(family: str, text: str) -> None:
    assert read(form(family), text) == ([("text", text)] if text else [])


@pytest.mark.parametrize(("family", "text", "said"), CASES, ids=IDS)
def test_arguments_are_json(family: str, text: str, said: Said) -> None:
    for channel, arguments in said:
        if channel in ("weather", "now"):
            assert isinstance(json.loads(arguments), dict)


@pytest.mark.parametrize("family", ["hermes", "mistral", "deepseek", "qwen3-coder", "generic"])
def test_a_call_without_tools_is_text(family: str) -> None:
    text = next(text for name, text, _ in CASES if name == family)
    found = form_of(TEMPLATES[family], "", lambda _: False)
    assert found is None or read(found, text) == [("text", text)]


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("hermes", '<tool_call>\n{"name": "rm", "arguments": {}}\n</tool_call>'),
        ("hermes", "<tool_call>\nno JSON at all\n</tool_call> and more"),
        ("hermes", '<tool_call>\n{"name": 7}'),
        ("hermes", "<tool_call>"),
        ("mistral", "[TOOL_CALLS]rm[ARGS]{}"),
        ("qwen3-coder", "<function=rm>\n<parameter=a>\n1\n</parameter>\n</function>"),
        ("lfm2", "<|tool_call_start|>[weather('Paris')]<|tool_call_end|>"),
        ("gemma-4", '<|tool_call>call:weather{"<tool_call|>'),
        ("llama-4", "[weather(city=open('x'))]"),
        ("granite-3", "<|tool_call|>[]"),
    ],
)
def test_what_is_no_call_of_a_tool_stays_text(family: str, text: str) -> None:
    assert read(form(family), text) == [("text", text)]


def test_a_call_that_breaks_off_keeps_what_came_of_it() -> None:
    begun = '<tool_call>\n{"name": "weather", "arguments": {"city": "Par'
    assert read(form("hermes"), begun) == [("weather", '{"city": "Par')]


def test_a_control_token_is_a_mark_and_never_text() -> None:
    parts = ["a", "[TOOL_CALLS]", "b", "<s>", "c"]
    assert read(form("mistral"), parts, controls=("[TOOL_CALLS]", "<s>")) == [("text", "abc")]


def test_a_control_token_ends_arguments_that_do_not_end() -> None:
    parts = ["<tool_call>", '{"name": "weather", "arguments": {"city": "Par', "</tool_call>", "x"]
    said = read(form("hermes"), parts, controls=("<tool_call>", "</tool_call>"))
    assert said == [("weather", '{"city": "Par'), ("text", "x")]


@pytest.mark.parametrize("prompt", ["<|assistant|>\n<think>\n", "<|assistant|><think>"])
def test_an_answer_may_begin_in_the_reasoning_that_the_prompt_opened(prompt: str) -> None:
    found = form("qwen3", prompt)
    assert read(found, "Hm.\n</think>\n\nYes.") == [("reasoning", "Hm."), ("text", "Yes.")]
    assert read(found, "Hm. </th") == [("reasoning", "Hm. </th")]


def test_reasoning_that_the_prompt_closed_is_over() -> None:
    found = form("qwen3", "<|assistant|>\n<think>\n\n</think>\n\n")
    assert read(found, "Yes.") == [("text", "Yes.")]


def test_a_mark_of_reasoning_amid_text_is_text() -> None:
    assert read(form("qwen3"), "The tag <think> opens it.") == [
        ("text", "The tag <think> opens it.")
    ]


def test_the_vocabulary_tells_of_reasoning_too() -> None:
    found = form_of("", "", lambda mark: mark == "[THINK]")
    assert found is not None
    assert read(found, "[THINK]Hm.[/THINK]Yes.") == [("reasoning", "Hm."), ("text", "Yes.")]


def test_a_template_with_neither_has_no_form() -> None:
    assert form_of(TEMPLATES["llama-3"], "", lambda _: False) is None


@pytest.mark.parametrize("family", ["hermes", "mistral", "llama-3", "llama-4", "glm", "generic"])
def test_an_answer_is_full_after_as_many_calls_as_it_may_have(family: str) -> None:
    text = next(text for name, text, said in CASES if name == family and len(said) > 1)
    parser = Parser(form(family, most=1))
    pieces = [piece for letter in text for piece in parser.feed(letter)] + parser.finish()
    assert parser.full and parser.called
    assert {piece.call.index for piece in pieces if piece.call} == {0}


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("hermes", '<tool_call>{"id": "\\ud800", "name": "now", "arguments": {}}</tool_call>'),
        (
            "hermes",
            '<tool_call>{"name": "now", "arguments": "{\\"a\\": \\"\\ud800\\"}"}</tool_call>',
        ),
        ("hermes", '<tool_call>{"name": "now", "arguments": "' + "[" * 99_999 + '"}</tool_call>'),
        ("generic", '{"tool_call": ' * 3_000),
        ("generic", '{"tool_calls": [' * 3_000),
        ("hermes", '<tool_call>{"arguments": {' * 3_000),
        ("glm", '<tool_call>now<arg_key>a</arg_key><arg_value>"\\ud800"</arg_value></tool_call>'),
        ("glm", "<tool_call>now<arg_key>a</arg_key><arg_value>" + "[" * 99_999),
        ("glm", f"<tool_call>now<arg_key>a</arg_key><arg_value>{'9' * 9_999}</arg_value>"),
        ("llama-4", '[now(a="\\ud800")]'),
        ("llama-4", "[now(a=1e999)]"),
        ("llama-4", f"[now(a={'(' * 9_999}"),
        ("llama-4", f"[now(a={'-' * 9_999}1)]"),
        ("gemma-4", '<|tool_call>call:now{a:"\\ud800",b:1e999}<tool_call|>'),
        ("gemma-4", f"<|tool_call>call:now{{a:{'[' * 9_999}}}<tool_call|>"),
        ("gpt-oss", "<|channel|>" * 3_000),
        ("mistral", "[TOOL_CALLS]" * 3_000),
    ],
)
def test_no_answer_can_end_the_parser(family: str, text: str) -> None:
    """What is shown can be sent, too: half a surrogate pair can't."""
    said = read(form(family), [text[i : i + 1000] for i in range(0, len(text), 1000)])
    assert said
    for channel, shown in said:
        shown.encode()
        if channel == "now" and "ud800" in text:
            json.loads(shown)


def test_ids_have_the_familys_form() -> None:
    def first_id(family: str, text: str) -> str | None:
        found = [piece.call.id for piece in Parser(form(family)).feed(text) if piece.call]
        return found[0]

    kimi = next(text for name, text, _ in CASES if name == "kimi-k2")
    assert first_id("kimi-k2", kimi) == "functions.weather:0"
    short = first_id("mistral", f"[TOOL_CALLS]weather[ARGS]{PARIS}")
    assert short is not None and len(short) == 9 and short.isalnum()
    given = first_id("mistral", f"[TOOL_CALLS]weather[CALL_ID]abc123def[ARGS]{PARIS}")
    assert given == "abc123def"
    made = first_id("hermes", f'<tool_call>{{"name": "weather", "arguments": {PARIS}}}')
    assert made is not None and made.startswith("call_") and len(made) > 20
    assert made != first_id("hermes", f'<tool_call>{{"name": "weather", "arguments": {PARIS}}}')


@pytest.mark.parametrize("family", ["generic", "llama-3", "llama-4", "gemma-3", "hermes"])
def test_json_that_is_no_call_comes_at_once(family: str) -> None:
    parser = Parser(form(family))
    assert [piece.text for piece in parser.feed('{"title": "A sto')] == ['{"title": "A sto']


def test_text_and_arguments_come_as_soon_as_they_are_certain() -> None:
    parser = Parser(form("hermes"))
    assert [piece.text for piece in parser.feed("Hello <b>you</b> <tool")] == ["Hello <b>you</b>"]
    assert parser.feed('_call>{"name": "weather", "argu') != []
    assert [piece.text for piece in parser.feed('ments": {"city": "Par')] == ['{"city": "Par']
    assert [piece.text for piece in parser.feed("is")] == ["is"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
@pytest.mark.parametrize("family", sorted(TEMPLATES))
def test_numbers_that_json_does_not_have_break_no_reader(family: str, number: str) -> None:
    inner = json.dumps(f'{{"a": {number}}}')
    for text in (
        f'<tool_call>{{"name": "weather", "arguments": {inner}}}</tool_call>',
        f'[TOOL_CALLS][{{"name": "weather", "arguments": {inner}}}]',
        f'{{"tool_call": {{"name": "weather", "arguments": {inner}}}}}',
        'call:weather{city: "}',
    ):
        read(form(family), [text])


@pytest.mark.parametrize("types", [["string", {}], ["string", ["null"]], [None], {"type": 1}])
@pytest.mark.parametrize("family", sorted(TEMPLATES))
def test_a_schema_with_odd_types_breaks_no_reader(family: str, types: Any) -> None:
    odd = {"type": "object", "properties": {"city": {"type": types}}}
    tools = [Tool(Function("weather", parameters=odd))]
    for text in (
        "<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n"
        "</tool_call>",
        "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>",
    ):
        read(form(family, tools=tools), [text])


@pytest.mark.parametrize(
    ("family", "text"), [each[:2] for each in CASES if each[2][0][0] == "weather"]
)
def test_a_call_that_is_cut_before_its_name_is_no_text(family: str, text: str) -> None:
    """As by `max_tokens`. A mark that is not whole is text, as it may be the answer's."""
    found = form(family)
    marks = (*found.family.marks, *found.family.wraps) if found.family else ()
    for end in range(1, len(text)):
        said = read(found, [text[:end]], cut=True)
        shown = "".join(text for channel, text in said if channel == "text")
        assert not any(mark in shown for mark in marks), (text[:end], said)
        assert not shown.startswith("{"), (text[:end], said)


@pytest.mark.parametrize("family", ["llama-3", "llama-4", "generic", "hermes"])
@pytest.mark.parametrize("text", ['{"answer": 42, "note": "on', "[1, 2, 3", '["a", "b', "a < b"])
def test_an_answer_that_is_cut_and_no_call_is_shown(family: str, text: str) -> None:
    assert read(form(family), [text], cut=True) == [("text", text)]
