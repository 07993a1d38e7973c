"""What is asked of a model: exactly one question, and limits at their borders."""

from __future__ import annotations

import msgspec
import pytest

from rbee.contract.errors import InvalidRequest
from rbee.contract.tasks import InferenceRequest, Message, Sampling, TaskRequest, keep_alive_s
from rbee.contract.validation import decode


def task(**fields: object) -> TaskRequest:
    return decode(msgspec.json.encode({"prompt": "x", **fields}), TaskRequest)


def test_the_defaults_are_those_of_the_contract() -> None:
    asked = task()
    assert (asked.max_tokens, asked.temperature, asked.stop) == (512, 0.7, [])
    assert (asked.ignore_eos, asked.cache_prompt, asked.keep_alive) == (False, True, None)


def test_messages_stand_in_place_of_a_prompt() -> None:
    asked = decode(b'{"messages":[{"role":"user","content":"hi"}]}', TaskRequest)
    assert asked.messages == [Message("user", "hi")]


@pytest.mark.parametrize("body", [b"{}", b'{"prompt":"x","messages":[{"role":"u","content":"c"}]}'])
def test_neither_or_both_of_prompt_and_messages_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(body, TaskRequest)
    assert "exactly one of prompt and messages" in caught.value.message


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [("max_tokens", 1, 1_000_000), ("temperature", 0, 5), ("top_k", 0, 1_000_000),
     ("min_p", 0, 1), ("presence_penalty", -2, 2), ("frequency_penalty", -2, 2),
     ("logprobs", 0, 20), ("seed", 0, 0xFFFF_FFFE), ("device", 0, 255)],
)  # fmt: skip
def test_a_number_is_taken_at_its_limits_and_refused_beyond(
    field: str, least: int, most: int
) -> None:
    assert getattr(task(**{field: least}), field) == least
    assert getattr(task(**{field: most}), field) == most
    for beyond in (least - 1, most + 1):
        with pytest.raises(InvalidRequest, match=field):
            task(**{field: beyond})


@pytest.mark.parametrize("biases", [{}, {"0": -100}, {"49151": 100, "7": 0.5}])
def test_biases_are_numbers_by_the_ids_of_tokens(biases: dict[str, float]) -> None:
    assert task(logit_bias=biases).logit_bias == biases


@pytest.mark.parametrize(
    "biases",
    [{"a": 1}, {"-1": 1}, {"1.5": 1}, {"": 1}, {"²": 1}, {"9" * 11: 1}, {"1": 100.5}, {"1": -101}],
)
def test_other_biases_are_refused(biases: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest, match="logit_bias"):
        task(logit_bias=biases)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"grammar": "x", "response_format": {"type": "json_object"}}, "grammar"),
        ({"grammar": "x", "ignore_eos": True}, "ignore_eos"),
        ({"response_format": {"type": "json_object"}, "ignore_eos": True}, "ignore_eos"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"grammar": ""}, "grammar"),
    ],
)
def test_a_form_is_given_once_and_says_where_the_answer_ends(
    fields: dict[str, object], named: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        task(**fields)
    assert caught.value.details["errors"][0]["field"] == named


def test_a_plain_text_is_no_form() -> None:
    asked = task(grammar="x", response_format={"type": "text"})
    assert asked.grammar == "x"
    assert task(ignore_eos=True, response_format={"type": "text"}).ignore_eos


@pytest.mark.parametrize("prompt", [[0], [1, 2, 0x7FFF_FFFF]])
def test_a_prompt_may_be_the_ids_of_its_tokens(prompt: list[int]) -> None:
    assert task(prompt=prompt).inference("r").prompt == prompt


@pytest.mark.parametrize("prompt", [[], [-1], [0x8000_0000], [1, "a"], [1.5]])
def test_other_lists_are_no_prompt(prompt: list[object]) -> None:
    with pytest.raises(InvalidRequest, match="prompt"):
        task(prompt=prompt)


@pytest.mark.parametrize(("field", "most"), [("top_p", 1), ("repeat_penalty", 10)])
def test_some_numbers_must_be_more_than_nothing(field: str, most: int) -> None:
    assert getattr(task(**{field: most}), field) == most
    assert getattr(task(**{field: 1e-9}), field) == 1e-9
    for beyond in (0, most + 0.001):
        with pytest.raises(InvalidRequest, match=field):
            task(**{field: beyond})


@pytest.mark.parametrize(("field", "most"), [("node", 255), ("model", 4096), ("backend", 32)])
def test_a_text_is_taken_at_its_limits_and_refused_beyond(field: str, most: int) -> None:
    assert getattr(task(**{field: "a" * most}), field) == "a" * most
    for beyond in ("", "a" * (most + 1)):
        with pytest.raises(InvalidRequest, match=field):
            task(**{field: beyond})


def test_64_stop_texts_are_taken_and_one_more_is_refused() -> None:
    assert len(task(stop=["a"] * 64).stop) == 64
    with pytest.raises(InvalidRequest, match="stop"):
        task(stop=["a"] * 65)


def test_a_stop_text_has_at_most_256_characters() -> None:
    assert task(stop=["a" * 256]).stop == ["a" * 256]
    with pytest.raises(InvalidRequest, match="stop"):
        task(stop=["a" * 257])


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(0, 0), (90, 90), (1.5, 1.5), (-1, -1), ("90", 90), ("90s", 90), ("10m", 600),
     ("1h", 3600), ("2d", 172_800), ("1.5m", 90), ("-1", -1), ("0", 0)],
)  # fmt: skip
def test_keep_alive_is_seconds_or_a_text_with_a_unit(value: float | str, seconds: float) -> None:
    assert keep_alive_s(value) == seconds
    assert task(keep_alive=value).keep_alive == value


@pytest.mark.parametrize("value", ["", "m", "10x", "ten", "5ms", "10 m m", "1h30m"])
def test_a_keep_alive_that_is_no_time_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="keep_alive"):
        keep_alive_s(value)
    with pytest.raises(InvalidRequest, match="keep_alive"):
        task(keep_alive=value)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "infinity", "1e400"])
def test_a_keep_alive_that_is_no_number_of_seconds_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="keep_alive"):
        keep_alive_s(value)


def test_a_bad_keep_alive_is_named_as_the_field() -> None:
    with pytest.raises(InvalidRequest) as caught:
        task(keep_alive="soon")
    assert caught.value.details["errors"][0]["field"] == "keep_alive"


def test_a_conversation_has_its_limits_too() -> None:
    turn = {"role": "r" * 32, "content": ""}
    body = {"messages": [turn] * 10_000}
    assert len(decode(msgspec.json.encode(body), TaskRequest).messages or []) == 10_000
    for beyond in ([turn] * 10_001, [{**turn, "role": "r" * 33}]):
        with pytest.raises(InvalidRequest, match="messages"):
            decode(msgspec.json.encode({"messages": beyond}), TaskRequest)


@pytest.mark.parametrize("body", [b"{}", b'{"prompt":"x","keep_alive":"soon"}'])
def test_a_worker_refuses_what_the_queen_refuses(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode(body, InferenceRequest)


@pytest.mark.parametrize("request_id", ["a", "A-z_09", "x" * 64])
def test_a_request_id_is_a_short_plain_word(request_id: str) -> None:
    body = msgspec.json.encode({"prompt": "x", "request_id": request_id})
    assert decode(body, InferenceRequest).request_id == request_id


@pytest.mark.parametrize("request_id", ["", "x" * 65, "a/b", "../x", "a b", "é"])
def test_a_request_id_that_could_be_a_path_is_refused(request_id: str) -> None:
    body = msgspec.json.encode({"prompt": "x", "request_id": request_id})
    with pytest.raises(InvalidRequest, match="request_id"):
        decode(body, InferenceRequest)


def test_a_worker_is_asked_for_the_same_work_under_the_tasks_id() -> None:
    asked = task(
        max_tokens=7, temperature=0, top_p=0.5, top_k=3, min_p=0.1, repeat_penalty=2, seed=9,
        stop=["a"], ignore_eos=True, cache_prompt=False, keep_alive="10m", node="n", model="m",
    )  # fmt: skip
    passed_on = asked.inference("id-1")
    assert passed_on.request_id == "id-1"
    for name in Sampling.__struct_fields__:
        assert getattr(passed_on, name) == getattr(asked, name)


def test_an_answer_that_is_no_stream_can_not_be_asked_for() -> None:
    with pytest.raises(InvalidRequest, match="stream"):
        decode(b'{"prompt":"x","stream":false}', InferenceRequest)


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        (TaskRequest, b"{}", "prompt: Expected exactly one of prompt and messages"),
        (
            InferenceRequest,
            b'{"prompt":"x","stream":false}',
            "stream: Expected true, because an answer is always a stream",
        ),
    ],
)
def test_what_is_expected_is_said_in_whole(kind: type, body: bytes, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(body, type=kind)
    assert str(caught.value) == words


_F = '{"function": {"name": "f"}}'
_MESSAGES = '"messages": [{"role": "user", "content": "a"}]'


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (f'{_MESSAGES}, "tools": [{_F}, {_F}]', "tools: Expected functions with different names"),
        (f'{_MESSAGES}, "tool_choice": "required"', "tool_choice: Expected tools to choose from"),
        (f'{_MESSAGES}, "tool_choice": {_F}', "tool_choice: Expected the name of one of the tools"),
        (f'"prompt": "a", "tools": [{_F}]', "tools: Expected messages"),
        (f'{_MESSAGES}, "tools": [{_F}], "grammar": "root ::= \\"a\\""', "grammar: Expected none"),
        (
            f'{_MESSAGES}, "tools": [{_F}], "tool_choice": "required", "ignore_eos": true',
            "ignore_eos: Expected false",
        ),
        (f'{_MESSAGES}, "tools": [{{"type": "web_search"}}]', "tools[0].type"),
        (f'{_MESSAGES}, "tools": [{{"function": {{"name": "a b"}}}}]', "tools[0].function.name"),
    ],
)
def test_tools_that_make_no_sense_are_refused_by_name(fields: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(f"{{{fields}}}".encode(), TaskRequest)
    assert words in caught.value.message


@pytest.mark.parametrize(
    "fields",
    [
        f'"tools": [{_F}], "tool_choice": {_F}',
        f'"tools": [{_F}], "tool_choice": "none", "grammar": "root ::= \\"a\\""',
        '"tools": [], "tool_choice": "none"',
    ],
)
def test_tools_that_make_sense_are_taken(fields: str) -> None:
    asked = decode(f"{{{_MESSAGES}, {fields}}}".encode(), TaskRequest)
    assert asked.inference("x").tools == asked.tools
