"""Models of every kind: what their chat templates are given, and what those may take."""

from typing import Any

from behave import then, when
from behave.runner import Context

from harness.watching import chat_templates, replies, standalone_worker
from harness.watching.chat_templates import LoopingConversation
from harness.world.waiting import wait_until

_FIELDS = {
    "messages": [
        {"role": "user", "content": "Rain?", "name": "Bo"},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "Hm.",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "rain", "arguments": '{"in":"Köln"}'},
                }
            ],
        },
        {"role": "tool", "content": "yes", "tool_call_id": "call_1"},
    ],
    "think": False,
    "chat_template_kwargs": {"style": {"words": ["terse"]}},
}
# As the template of <echoing> writes it.
_WRITTEN = (
    "user|Rain?|Bo||;"
    'assistant|||Hm.||function|call_1|rain|{"in": "Köln"};'
    "tool|yes|||call_1;"
    'False|False|{"words": ["terse"]}>'
)


@when("a client sends a conversation for which the template loops")
def looping(context: Context) -> None:
    context.looping = LoopingConversation(context.world, context.standalone)


@when("that client goes away")
def goes_away(context: Context) -> None:
    context.looping.leave()


@when("that request is deleted")
def looping_deleted(context: Context) -> None:
    assert context.standalone.delete(LoopingConversation.request_id).status == 204


@when("the worker that renders it is killed")
def killed(context: Context) -> None:
    context.standalone.process.kill()


@then("the worker has {free:d} of its {total:d} slots free")
def slots_free(context: Context, free: int, total: int) -> None:
    found = context.standalone.status.named("status")[-1].data
    assert (found["slots_available"], found["slots_total"]) == (free, total), found
    assert found["state"] == "busy", found


@then("another conversation is answered meanwhile")
def answered_meanwhile(context: Context) -> None:
    stream = context.standalone.chat([{"role": "user", "content": "hi"}], 3)
    assert standalone_worker.done_of(stream)["prompt_tokens"] > 0
    assert not chat_templates.is_gone(context.looping.renderer)


@then('the first client is refused with {status:d} and {code:w}, because of "{words}"')
def refused(context: Context, status: int, code: str, words: str) -> None:
    reply = context.looping.reply()
    error = replies.error_of(reply)
    assert (reply.status, error.code) == (status, code), reply
    assert words in error.message, error


@then("the template's process is gone, and the worker is idle, within {seconds:d} s")
def gone_and_idle(context: Context, seconds: int) -> None:
    renderer = context.looping.renderer
    wait_until("the template's end", lambda: chat_templates.is_gone(renderer), seconds)
    status = context.standalone.status
    wait_until("idle", lambda: status.named("status")[-1].data["state"] == "idle", seconds)


@when('a system\'s "{system}" and a user\'s "{user}" are answered, and then "{prompt}" as a prompt')
def system_and_prompt(context: Context, system: str, user: str, prompt: str) -> None:
    said = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    _ask_both_ways(context, {"messages": said}, {"prompt": prompt.replace("\\n", "\n")})


@when("a conversation with every field is answered, and then a prompt in the words of the template")
def every_field(context: Context) -> None:
    _ask_both_ways(context, _FIELDS, {"prompt": _WRITTEN})


def _ask_both_ways(context: Context, *asked: dict[str, Any]) -> None:
    context.streams = [
        context.standalone.ask_with({**fields, "max_tokens": 8, "temperature": 0})
        for fields in asked
    ]


@then("both prompts are the same, token by token")
def same_prompts(context: Context) -> None:
    """The KV cache has all of the second one but its last token, which is always read."""
    first, second = (standalone_worker.done_of(stream) for stream in context.streams)
    count = second["prompt_tokens"]
    assert first["prompt_tokens"] == count > 0, (first, second)
    assert (first["cached_tokens"], second["cached_tokens"]) == (0, count - 1), (first, second)
