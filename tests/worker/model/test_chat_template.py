"""Conversations as prompts, by templates as models have them, in a process of their own."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import pytest

from rbee.contract.errors import InvalidRequest
from rbee.worker.model.chat_template import ChatTemplate, TemplateFacts
from rbee.worker.model.templates.renderers import Renderers

Make = Callable[..., ChatTemplate]

USER = {"role": "user", "content": "Hi <b>"}
SYSTEM = {"role": "system", "content": "Be brief."}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Köln"}}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": "call_1234567"}]}
ANSWERED = {"role": "tool", "content": "rain", "tool_call_id": "call_1234567"}

PLAIN = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
WITH_CALLS = (
    "{% for t in tools or [] %}{{ t.function.name }}\n{% endfor %}{% for m in messages %}"
    "{% for c in m.tool_calls or [] %}CALLS{% else %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
    "{% endfor %}"
)


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    renderers = Renderers(5)

    def template(source: str, **more: Any) -> ChatTemplate:
        tokens = more.pop("tokens", {"bos_token": "<s>", "eos_token": "</s>"})
        return ChatTemplate({"default": source, **more}, tokens, renderers)

    yield template
    await renderers.close()


def calling(how: str) -> str:
    """A template that shows calls so."""
    return WITH_CALLS.replace("CALLS", how)


@pytest.mark.parametrize(
    ("source", "prompt"),
    [
        ("{{ bos_token }}{% for m in messages %}{{ m['role'] }}{% endfor %}", "<s>user"),
        ("{{ unk_token }}{{ pad_token is defined }}", "False"),
        ("{{ tools }}{{ documents }}{{ add_generation_prompt }}", "NoneNoneTrue"),
        (
            "{% for m in messages %}\n  {% if true %}\n{{ m.role }}\n  {% endif %}\n{% endfor %}",
            "user\n",
        ),
        ("{% generation %}{{ messages[0].role }}{% endgeneration %}", "user"),
        ("{% for a in range(9) %}{% if a == 2 %}{% break %}{% endif %}{{ a }}{% endfor %}", "01"),
        ("{{ messages[0] | tojson }}", '{"role": "user", "content": "Hi <b>"}'),
        (
            "{{ {'b': 'ö', 'a': 1} | tojson(ensure_ascii=True, sort_keys=True) }}",
            r'{"a": 1, "b": "\u00f6"}',
        ),
        ("{{ {'b': 'ö'} | tojson(indent=2) }}", '{\n  "b": "ö"\n}'),
        ("{{ {'b': 1} | tojson(separators=(',', ':')) }}", '{"b":1}'),
        ("{{ enable_thinking is defined }}", "False"),
        ("{{ messages[0].name is defined }}", "False"),
    ],
)
async def test_the_environment_is_that_of_transformers(
    make: Make, source: str, prompt: str
) -> None:
    assert await make(source).render([USER]) == prompt


async def test_the_time_of_day_is_known(make: Make) -> None:
    before, said, after = (
        time.strftime("%d %b %Y"),
        await make("{{ strftime_now('%d %b %Y') }}").render([USER]),
        time.strftime("%d %b %Y"),
    )
    assert said in (before, after)


@pytest.mark.parametrize(
    ("think", "kwargs", "prompt"),
    [
        (None, {}, "--"),
        (True, {}, "True-True-"),
        (False, {"style": "terse"}, "False-False-terse"),
        (False, {"enable_thinking": True}, "True-False-"),
    ],
)
async def test_wishes_are_variables(
    make: Make, think: bool | None, kwargs: Mapping[str, Any], prompt: str
) -> None:
    template = make("{{ enable_thinking }}-{{ thinking }}-{{ style }}")
    assert await template.render([USER], think=think, kwargs=kwargs) == prompt


@pytest.mark.parametrize("name", ["messages", "tools", "add_generation_prompt"])
async def test_variables_of_ours_are_refused_by_name(make: Make, name: str) -> None:
    with pytest.raises(InvalidRequest, match=name) as caught:
        await make(PLAIN).render([USER], kwargs={name: 1})
    assert caught.value.details["errors"][0]["field"] == "chat_template_kwargs"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "{{ raise_exception('Only\nbees\x1b[2J, please') }}",
            r"refuses this: Only bees\x1b[2J, please",
        ),
        ("{% for %}", "is not valid: Expected an expression"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ messages[0].content + none }}", "refuses this"),
        ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "recursion"),
    ],
)
async def test_what_is_wrong_is_told_in_its_own_words_on_one_line(
    make: Make, source: str, words: str
) -> None:
    template = make(source)
    with pytest.raises(InvalidRequest) as caught:
        await template.render([USER])
    assert words in caught.value.message
    assert "\n" not in caught.value.message and "\x1b" not in caught.value.message
    assert await make(PLAIN).render([USER]) == "[user] Hi <b>\n"


@pytest.mark.parametrize(
    "source",
    [
        "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + PLAIN,
        "{% for m in messages if m.role != 'system' %}[{{ m.role }}] {{ m.content }}\n{% endfor %}",
    ],
    ids=["refuses it", "drops it"],
)
async def test_what_a_system_says_goes_to_the_user_if_there_is_no_system(
    make: Make, source: str
) -> None:
    template = make(source)
    assert await template.render([SYSTEM, USER]) == "[user] Be brief.\nHi <b>\n"
    assert await template.render([SYSTEM]) == "[user] Be brief.\n"
    assert not (await template.facts()).system


async def test_a_developer_is_a_system_unless_the_template_knows_better(make: Make) -> None:
    said = [{"role": "developer", "content": "Be brief."}, USER]
    assert await make(PLAIN).render(said) == "[system] Be brief.\n[user] Hi <b>\n"
    knowing = make("{# a developer too #}" + PLAIN)
    assert await knowing.render(said) == "[developer] Be brief.\n[user] Hi <b>\n"


async def test_a_template_that_wants_parts_gets_them(make: Make) -> None:
    template = make(
        "{% for m in messages %}[{{ m.role }}]{% for part in m.content %}"
        "{% if part.type == 'text' %} {{ part.text }}{% endif %}{% endfor %}{% endfor %}"
    )
    assert await template.render([SYSTEM, USER]) == "[system] Be brief.[user] Hi <b>"
    assert (await template.facts()).system


@pytest.mark.parametrize(
    ("how", "prompt"),
    [
        ("{{ c.function.arguments | tojson }}", '{"city": "Köln"}'),
        ("{{ '' + c.function.arguments }}", '{"city": "Köln"}'),
        ("{{ c.function.arguments }}", '{"city": "Köln"}'),
        (
            "{{ c.function.arguments if c.function.arguments is string "
            "else c.function.arguments | tojson }}",
            '{"city": "Köln"}',
        ),
        (
            "{% for k, v in c.function.arguments.items() %}<{{ k }}>{{ v }}{% endfor %}",
            "<city>Köln",
        ),
        (
            "{% if m.content is none %}{{ c.function.arguments | tojson }}{% endif %}",
            '{"city": "Köln"}',
        ),
        ("{{ m.content + c.function.arguments | tojson }}", '{"city": "Köln"}'),
    ],
    ids=["object", "text", "printed", "either", "item by item", "null content", "text content"],
)
async def test_calls_have_the_form_that_the_template_shows(
    make: Make, how: str, prompt: str
) -> None:
    template = make(calling("{{ c.function.name }}:" + how))
    assert (
        await template.render([USER, CALLED], [TOOL]) == f"weather\n[user] Hi <b>\nweather:{prompt}"
    )
    assert await template.facts() == TemplateFacts(True, True, True, True)


async def test_a_call_and_its_answer_have_the_same_short_id_where_it_must_be_short(
    make: Make,
) -> None:
    template = make(
        calling(
            "{% if c.id | length != 9 %}{{ raise_exception('nine') }}{% endif %}"
            "{{ c.function.name }}{{ c.function.arguments | tojson }}({{ c.id }})"
        )
        + "{{ messages[-1].tool_call_id }}"
    )
    prompt = await template.render([USER, CALLED, ANSWERED], [TOOL])
    _, called, answered = prompt.partition("(")
    assert called and answered[:9].isalnum() and prompt.endswith(answered[:9])
    nine = {**CALLED, "tool_calls": [{**CALL, "id": "abcdef123"}]}
    assert "(abcdef123)" in await template.render([USER, nine], [TOOL])


async def test_a_template_that_knows_no_functions_is_known_as_such(make: Make) -> None:
    template = make("{% for m in messages %}{{ m.role }}: {{ m.content or '' }}\n{% endfor %}")
    assert await template.facts() == TemplateFacts(True, False, False, False)


async def test_an_earlier_call_that_a_template_does_not_show_is_no_fault(make: Make) -> None:
    template = make("{% for m in messages %}{{ m.role + m.content }}\n{% endfor %}")
    assert await template.render([USER, CALLED], [TOOL]) == "userHi <b>\nassistant\n"


async def test_the_template_for_tools_is_used_with_tools(make: Make) -> None:
    template = make(PLAIN, tool_use="{{ tools | tojson }}")
    assert json.loads(await template.render([USER], [TOOL])) == [TOOL]
    assert await template.render([USER]) == "[user] Hi <b>\n"
    assert (template.source(with_tools=True), template.source()) == ("{{ tools | tojson }}", PLAIN)
    assert (await template.facts()).tools and not (await template.facts(with_tools=False)).tools


@pytest.mark.parametrize("letter", ["a", "漢", "🐝"])
async def test_a_conversation_of_eight_million_characters_is_rendered(
    make: Make, letter: str
) -> None:
    text = letter * 8_000_000
    assert await make(PLAIN).render([{"role": "user", "content": text}]) == f"[user] {text}\n"


async def test_ten_thousand_messages_are_rendered(make: Make) -> None:
    said: Sequence[Mapping[str, Any]] = [USER] * 10_000
    assert (await make(PLAIN).render(said)).count("[user]") == 10_000
