"""Which form of calls and of reasoning a model's chat template teaches. A new family is one more
row here, and a reader if its form is new.

Sources: the templates themselves, and where those leave it open, what llama.cpp (common/chat.cpp)
and vLLM (tool_parsers) expect of the same models.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from rbee.worker.model.tool_formats.calls import (
    Reader,
    by_mark,
    call_id,
    first_of,
    from_mark,
    short_id,
)
from rbee.worker.model.tool_formats.json_calls import json_reader
from rbee.worker.model.tool_formats.named_calls import Named
from rbee.worker.model.tool_formats.tagged_calls import (
    ARGUMENT_TAGS,
    DSML_TAGS,
    FUNCTION_TAGS,
    INVOKE_TAGS,
)
from rbee.worker.model.tool_formats.whole_calls import gemma_calls, python_calls, whole_reader


class CallTags(msgspec.Struct, frozen=True):
    """How a call is written whose arguments have a tag each, if its schema allows that: between
    `before` and `after`; for each argument `key`, its name, `value` (before a text `text`, if
    there is one), the value and `end`."""

    before: str
    after_name: str
    key: str
    value: str
    end: str
    after: str
    text: str = ""


class CallShape(msgspec.Struct, frozen=True):
    """How calls that are forced are written: `opens`, then for each call `before`, its name,
    `between`, its arguments as JSON and `after`, with `separates` in between; then `closes`.

    Where text may come instead, a call begins at the first mark, or at `trigger`. `passes` are
    control tokens that such text may have. `tags` begin with that mark too."""

    before: str
    between: str
    after: str = ""
    opens: str = ""
    closes: str = ""
    separates: str = "\n"
    trigger: str = ""
    passes: tuple[str, ...] = ()
    tags: CallTags | None = None


class Family(msgspec.Struct, frozen=True):
    """How the calls of a family look.

    A template with all of `found_in` teaches it. A call begins with one of `marks`, or, where an
    answer begins, with one of the letters `bare`. `wraps` stand around calls and mean nothing.
    """

    name: str
    found_in: tuple[str, ...]
    read: Reader
    shape: CallShape
    marks: tuple[str, ...] = ()
    bare: str = ""
    wraps: tuple[str, ...] = ()
    new_id: Callable[[], str] = call_id


class Reasoning(msgspec.Struct, frozen=True):
    """The marks around reasoning. `wraps` may stand around the answer after it."""

    opens: str
    closes: str
    wraps: tuple[str, ...] = ()


def _object(
    opens: str = "", closes: str = "", arguments: str = "arguments", tags: CallTags | None = None
) -> CallShape:
    """An object for each call, between marks of its own."""
    before, between = '{"name": "', f'", "{arguments}": '
    return CallShape(opens + before, between, "}" + closes, tags=tags)


def _functions(opens: str, closes: str) -> CallShape:
    """As Qwen3-Coder has learned it, or else an object."""
    head, key = f"{opens}\n<function=", "<parameter="
    tags = CallTags(head, ">\n", key, ">\n", "\n</parameter>\n", f"</function>\n{closes}")
    return _object(f"{opens}\n", f"\n{closes}", tags=tags)


_INVOKE = CallTags(
    '<minimax:tool_call>\n<invoke name="',
    '">\n',
    '<parameter name="',
    '">',
    "</parameter>\n",
    "</invoke>\n</minimax:tool_call>",
)
_DSML = CallTags(
    '<｜DSML｜function_calls>\n<｜DSML｜invoke name="',
    '">\n',
    '<｜DSML｜parameter name="',
    '" string="false">',
    "</｜DSML｜parameter>\n",
    "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
    '" string="true">',
)
_ARG_KEY = CallTags(
    "<tool_call>", "\n", "<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n", "</tool_call>"
)


def _list(opens: str, closes: str = "", arguments: str = "arguments") -> CallShape:
    """One list of objects for all calls."""
    between = f'", "{arguments}": '
    return CallShape('{"name": "', between, "}", f"{opens}[", f"]{closes}", ", ")


_TAGGED = _object("<tool_call>\n", "\n</tool_call>")
_HERMES = json_reader(("</tool_call>",))
_KIMI = Named(("<|tool_call_argument_begin|>",), ("<|tool_call_end|>",))
_ASKED_FOR = '{"tool_call'
_FENCED = by_mark(
    {"```tool_code": whole_reader(python_calls, ("```",))}, json_reader(("```", "</tool_call>"))
)


def _deepseek(name: str, found_in: str, before: str, between: str, after: str) -> Family:
    begin, end = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"
    section = ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>")
    read = Named(("<｜tool▁sep｜>",), (end,), kind="function")
    shape = CallShape(begin + before, between, after + end, *section)
    return Family(name, (begin, found_in), read, shape, (begin,), wraps=section)


def _gemma(name: str, begin: str, end: str) -> Family:
    """Its own form of arguments is read, but they are forced as JSON, which is read too."""
    read = whole_reader(gemma_calls, (end,))
    return Family(name, (begin,), read, CallShape(f"{begin}call:", "", end), (begin,))


def _mistral(name: str, found_in: tuple[str, ...], shape: CallShape) -> Family:
    read = first_of(json_reader(), Named(("[ARGS]",), id_mark="[CALL_ID]"))
    return Family(name, found_in, read, shape, ("[TOOL_CALLS]",), new_id=short_id)


def _lfm2(found_in: str) -> Family:
    begin, end = "<|tool_call_start|>", "<|tool_call_end|>"
    read = first_of(whole_reader(python_calls, (end,)), json_reader((end,)))
    return Family("lfm2", (found_in,), read, _list(begin, end), (begin,))


def _listed(name: str, begin: str, end: str) -> Family:
    return Family(name, (begin,), json_reader((end,)), _list(begin, end), (begin,))


# The first that is found in a template is taken: a template may have the marks of several.
FAMILIES = (
    Family(
        "deepseek-v3.2",
        ("｜DSML｜",),
        first_of(DSML_TAGS, json_reader(("</｜DSML｜function_calls>",))),
        _object("<｜DSML｜function_calls>\n", "\n</｜DSML｜function_calls>", tags=_DSML),
        ("<｜DSML｜function_calls>",),
    ),
    _deepseek("deepseek-r1", "```json", "function<｜tool▁sep｜>", "\n```json\n", "\n```"),
    _deepseek("deepseek-v3.1", "", "", "<｜tool▁sep｜>", ""),
    Family(
        "kimi-k2",
        ("<|tool_call_begin|>",),
        _KIMI,
        CallShape(
            "<|tool_call_begin|>functions.",
            ":0<|tool_call_argument_begin|>",
            "<|tool_call_end|>",
            "<|tool_calls_section_begin|>",
            "<|tool_calls_section_end|>",
            "",
        ),
        ("<|tool_call_begin|>",),
        wraps=("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
    ),
    _gemma("gemma-4", "<|tool_call>", "<tool_call|>"),
    _gemma("functiongemma", "<start_function_call>", "<end_function_call>"),
    Family(
        "command-r",
        ("<|START_ACTION|>",),
        json_reader(("<|END_ACTION|>",)),
        CallShape(
            '{"tool_call_id": "0", "tool_name": "',
            '", "parameters": ',
            "}",
            "<|START_ACTION|>[\n    ",
            "\n]<|END_ACTION|>",
            ",\n    ",
        ),
        ("<|START_ACTION|>",),
    ),
    _lfm2("<|tool_call_start|>"),
    _lfm2("<|tool_list_start|>"),
    Family(
        "minimax",
        ("<minimax:tool_call>",),
        first_of(INVOKE_TAGS, json_reader(("</minimax:tool_call>",))),
        _object("<minimax:tool_call>\n", "\n</minimax:tool_call>", tags=_INVOKE),
        ("<minimax:tool_call>",),
    ),
    Family(
        "seed",
        ("<seed:tool_call>",),
        first_of(FUNCTION_TAGS, json_reader(("</seed:tool_call>",))),
        _functions("<seed:tool_call>", "</seed:tool_call>"),
        ("<seed:tool_call>", "<function="),
        wraps=("</seed:tool_call>",),
    ),
    Family(
        "glm",
        ("<arg_key>",),
        first_of(ARGUMENT_TAGS, _HERMES),
        _object("<tool_call>\n", "\n</tool_call>", tags=_ARG_KEY),
        ("<tool_call>",),
    ),
    Family(
        "qwen3-coder",
        ("<tool_call>", "<function="),
        first_of(FUNCTION_TAGS, _HERMES),
        _functions("<tool_call>", "</tool_call>"),
        ("<tool_call>", "<function="),
        wraps=("</tool_call>",),
    ),
    Family(
        "hunyuan",
        ("<tool_calls>", "<tool_call>", "```json"),
        first_of(Named(("\n",), ("</tool_call>",)), _HERMES),
        CallShape(
            "<tool_call>", "\n```json\n", "\n```\n</tool_call>", "<tool_calls>\n", "\n</tool_calls>"
        ),
        ("<tool_call>",),
        wraps=("<tool_calls>", "</tool_calls>"),
    ),
    Family(
        "phi",
        ("<|/tool|>",),
        json_reader(("<|/tool_call|>",)),
        _list("<|tool_call|>", "<|/tool_call|>"),
        ("<|tool_call|>",),
    ),
    Family("hermes", ("<tool_call>",), first_of(_HERMES, FUNCTION_TAGS), _TAGGED, ("<tool_call>",)),
    Family(
        "granite",
        ("<|tool_call|>",),
        json_reader(),
        _list("<|tool_call|>"),
        ("<|tool_call|>", "<tool_call>"),
        wraps=("</tool_call>",),
    ),
    _listed("jamba", "<tool_calls>", "</tool_calls>"),
    _listed("nemotron", "<TOOLCALL>", "</TOOLCALL>"),
    Family(
        "internlm",
        ("<|action_start|>",),
        json_reader(("<|action_end|>",)),
        _object("<|action_start|><|plugin|>", "<|action_end|>", "parameters"),
        ("<|action_start|><|plugin|>",),
    ),
    _mistral(
        "mistral-named",
        ("[TOOL_CALLS]", "[ARGS]"),
        CallShape("[TOOL_CALLS]", "[ARGS]", separates=""),
    ),
    _mistral("mistral-list", ("[TOOL_CALLS]",), _list("[TOOL_CALLS]")),
    Family(
        "functionary",
        ("<function=",),
        Named((">",), ("</function>",)),
        CallShape("<function=", ">", "</function>", trigger="<function="),
        ("<function=",),
    ),
    Family(
        "llama-4",
        ("<|header_start|>",),
        first_of(whole_reader(python_calls), json_reader()),
        _object(arguments="parameters"),
        bare="[{",
        wraps=("<|python_start|>", "<|python_end|>"),
    ),
    Family(
        "llama-3",
        ("<|start_header_id|>", "ipython"),
        first_of(json_reader(), whole_reader(python_calls)),
        _object(arguments="parameters"),
        ("<|python_tag|>",),
        bare="{[",
    ),
    Family(
        "gemma-3",
        ("<start_of_turn>",),
        _FENCED,
        CallShape('```json\n{"name": "', '", "arguments": ', "}\n```", trigger="```json"),
        ("```tool_code", "```json"),
        bare="{[",
    ),
)
# For a template that teaches none. Beside the form that we ask for (`described.py`), it takes those
# that models of such templates fall back to.
GENERIC = Family(
    "generic",
    (),
    by_mark({_ASKED_FOR: from_mark(json_reader())}, _FENCED),
    CallShape('{"tool_call": {"name": "', '", "arguments": ', "}}", trigger=_ASKED_FOR),
    (_ASKED_FOR, "```json", "```tool_code", "<tool_call>"),
    bare="{[",
)
HARMONY = CallShape(
    "<|channel|>commentary to=functions.",
    " <|constrain|>json<|message|>",
    trigger=" to=functions.",
    passes=("<|channel|>", "<|constrain|>", "<|message|>", "<|end|>", "<|start|>"),
)

REASONINGS = (
    Reasoning("<think>", "</think>", ("<response>", "</response>", "<answer>", "</answer>")),
    Reasoning("[THINK]", "[/THINK]"),
    Reasoning("<|START_THINKING|>", "<|END_THINKING|>"),
    Reasoning("<seed:think>", "</seed:think>"),
    Reasoning("<|channel>thought", "<channel|>"),
    Reasoning("<|inner_prefix|>", "<|inner_suffix|>"),
    Reasoning("◁think▷", "◁/think▷"),
    Reasoning("<thought>", "</thought>"),
    Reasoning("<reasoning>", "</reasoning>"),
)
HARMONY_REASONING = Reasoning("<|channel|>analysis<|message|>", "<|end|><|start|>assistant")


def family_of(template: str) -> Family:
    """The form of calls that a template which takes tools teaches."""
    for family in FAMILIES:
        if all(mark in template for mark in family.found_in):
            return family
    return GENERIC


def reasoning_of(template: str, in_vocabulary: Callable[[str], bool]) -> Reasoning | None:
    """The marks that a template's model puts around its reasoning. `in_vocabulary` says whether a
    mark is a token of its own."""
    for marks in REASONINGS:
        if marks.opens in template or marks.closes in template:
            return marks
    return next((marks for marks in REASONINGS if in_vocabulary(marks.opens)), None)
