"""What llama.cpp's server has beside OpenAI's protocol, asked of the queen as its clients ask it.

The shapes are those of the README of llama.cpp's server.
"""

import json
from typing import Any
from urllib.request import Request, urlopen

from harness.model_files.bundled import BUNDLED
from harness.watching.openai_figures import writing_problem
from harness.watching.raw_requests import bearer, send
from harness.world.http_client import Reply
from harness.world.world import World

ROUTES = (
    *("POST /tokenize", "POST /detokenize", "POST /apply-template"),
    *("POST /completion", "POST /infill", "GET /props", "GET /slots"),
)
_PROPS = {
    *("default_generation_settings", "total_slots", "model_path", "model_alias", "modalities"),
    *("chat_template", "bos_token", "eos_token", "build_info", "is_sleeping"),
}
_SLOT = {"id", "n_ctx", "is_processing", "id_task", "speculative", "params"}
_CHUNK = {"index", "content", "tokens", "stop", "id_slot", "tokens_predicted", "tokens_evaluated"}
_LAST = {
    *("model", "prompt", "generation_settings", "has_new_line", "truncated", "stop_type"),
    *("stopping_word", "tokens_cached", "timings"),
}
# What an answer is sampled by that asks for no more than its length and temperature.
_SETTINGS = {
    "top_k": 40,
    "top_p": 0.95,
    "min_p": 0.05,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "seed": -1,
    "stop": [],
    "grammar": "",
    "ignore_eos": False,
    "stream": True,
}
_TIMINGS = {
    *("cache_n", "prompt_n", "prompt_ms", "prompt_per_second", "prompt_per_token_ms"),
    *("predicted_n", "predicted_ms", "predicted_per_second", "predicted_per_token_ms"),
}


def ask(world: World, route: str, body: dict[str, Any] | None = None) -> Any:
    """What a route of the queen answers."""
    reply = reply_of(world, route, None if body is None else json.dumps(body))
    assert reply.status == 200, reply
    return reply.json


def reply_of(world: World, route: str, body: str | None, key: str | None = None) -> Reply:
    method, path = route.split()
    data = body.encode() if body else None
    return send(method, world.queen_url + path, bearer(key or world.key), data)


def chunks(world: World, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a streamed completion."""
    url, data = f"{world.queen_url}/completion", json.dumps({**body, "stream": True}).encode()
    headers = {**bearer(world.key), "Content-Type": "application/json"}
    with urlopen(Request(url, data, headers), timeout=30) as reply:
        assert reply.headers.get_content_type() == "text/event-stream", reply
        lines = [line for line in reply.read().decode().split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines), lines
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def shape_problem(props: dict[str, Any], slots: list[dict[str, Any]]) -> str:
    """What is wrong with the shape of properties and slots; "" if nothing is."""
    if set(props) != _PROPS or set(props["default_generation_settings"]) != _SLOT:
        return f"properties: {props}"
    if props["modalities"] != {"vision": False, "audio": False}:
        return f"modalities: {props['modalities']}"
    if any(set(slot) != _SLOT for slot in slots) or props["total_slots"] != len(slots):
        return f"slots: {slots}"
    return ""


def told_problem(
    props: dict[str, Any], slots: list[dict[str, Any]], context: int, count: int, path: str
) -> str:
    """What is wrong with what is told of a model whose worker has this context and so many slots;
    without any, nobody has it in memory."""
    marks = ("<|im_start|>", "<|im_end|>") if count else ("", "")
    settings = props["default_generation_settings"]
    right = (
        props["is_sleeping"] == (not count)
        and settings == (slots or [settings])[0]
        and settings["n_ctx"] == context
        and [(slot["id"], slot["n_ctx"], slot["is_processing"]) for slot in slots]
        == [(at, context, False) for at in range(count)]
        and props["model_path"] == path
        and ("<|im_start|>" in props["chat_template"]) == bool(count)
        and (props["bos_token"], props["eos_token"]) == marks
        and settings["params"]["temperature"] == 0.7
        and props["model_alias"] == BUNDLED
    )
    return "" if right else f"{props}, {slots}"


def answer_problem(answer: dict[str, Any], prompt: str, count: int) -> str:
    """What is wrong with a completion that ends at its limit of `count` tokens."""
    if set(answer) != _CHUNK | _LAST or set(answer["timings"]) != _TIMINGS:
        return f"its fields are {sorted(answer)}"
    timings = answer["timings"]
    each_ms = timings["predicted_ms"] / timings["predicted_n"]
    read_ms = timings["prompt_ms"] / timings["prompt_n"]
    right = (
        answer["stop"] is True
        and (answer["stop_type"], answer["stopping_word"], answer["truncated"])
        == ("limit", "", False)
        and (answer["index"], answer["tokens"], answer["id_slot"]) == (0, [], -1)
        and (answer["tokens_predicted"], answer["prompt"]) == (count, prompt)
        and answer["tokens_cached"] == count + answer["tokens_evaluated"]
        and answer["generation_settings"] == {**_SETTINGS, "n_predict": count, "temperature": 0}
        and timings["prompt_n"] + timings["cache_n"] == answer["tokens_evaluated"]
        and abs(timings["predicted_per_token_ms"] - each_ms) < 0.01
        and abs(timings["prompt_per_token_ms"] - read_ms) < 0.01
        and not writing_problem(timings)
        and answer["has_new_line"] is False
    )
    return "" if right else f"{answer}"


def stop_problem(answer: dict[str, Any], word: str) -> str:
    """What is wrong with the end of a completion that this stopping word has ended."""
    found = answer["stop"], answer["stop_type"], answer["stopping_word"], answer["truncated"]
    return "" if found == (True, "word", word, False) else f"{found}"


def stream_problem(found: list[dict[str, Any]], text: str) -> str:
    """What is wrong with the events of a stream that says `text`."""
    *body, last = found
    if any(set(each) != _CHUNK or each["stop"] or not each["content"] for each in body):
        return f"events before the last: {body}"
    counts = [each["tokens_predicted"] for each in body]
    if counts != sorted(counts) or last["content"]:
        return f"counts {counts}, at last {last}"
    told = "".join(each["content"] for each in body)
    return "" if told == text else f"it says {told!r}"


def refusal_of(reply: Reply) -> tuple[int, str, str]:
    """Status, type and field of an error; what is wrong if it is not in llama.cpp's shape, with
    ours inside."""
    error = reply.json.get("error", {})
    if set(error) != {"code", "message", "type", "rbee"} or error["code"] != reply.status:
        return reply.status, f"not in shape: {reply.body[:300]!r}", ""
    wrong = error["rbee"]["details"].get("errors") or [{"field": ""}]
    return reply.status, error["type"], wrong[0]["field"]
