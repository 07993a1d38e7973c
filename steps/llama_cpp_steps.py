"""The routes that llama.cpp's server has of its own."""

import json

from behave import then, when
from behave.runner import Context

from harness.model_files.bundled import bundled_path
from harness.model_files.plain_llama import PlainLlama
from harness.watching import llama_server
from harness.watching.llama_server import ask
from harness.world import cluster
from harness.world.waiting import wait_until


@when("its properties and its slots are asked for")
def asks_props(context: Context) -> None:
    context.props = ask(context.world, "GET /props")
    context.slots = ask(context.world, "GET /slots?model=smollm2")
    wrong = llama_server.shape_problem(context.props, context.slots)
    assert not wrong, wrong


@then("they are those of a model that sleeps, and no worker was started")
def sleeping(context: Context) -> None:
    wrong = llama_server.told_problem(context.props, context.slots, 0, 0, "")
    assert not wrong, wrong
    assert not cluster.queens_workers(context.world)


@then("they are those of the worker that has answered")
def awake(context: Context) -> None:
    path = str(bundled_path())
    wrong = llama_server.told_problem(context.props, context.slots, 8192, 4, path)
    assert not wrong, wrong


@then("{count:d} of its slots is busy, and the others are not")
def busy_slots(context: Context, count: int) -> None:
    """The queen hears of it from the hive."""

    def look() -> list[bool]:
        return [slot["is_processing"] for slot in ask(context.world, "GET /slots")]

    busy = wait_until(f"{count} busy slots", look, 5, lambda slots: sum(slots) == count)
    assert len(busy) == 4, busy


@then("a token that is forbidden by false does not come")
def forbidden(context: Context) -> None:
    """Instead of the likeliest one another is chosen."""
    asked = {"prompt": context.completed[0], "n_predict": 1, "temperature": 0}
    first = ask(context.world, "POST /completion", asked)["content"]
    [token] = ask(context.world, "POST /tokenize", {"content": first})["tokens"]
    other = ask(context.world, "POST /completion", {**asked, "logit_bias": [[token, False]]})
    assert first and other["content"] not in ("", first), (first, other)


@when("these texts are tokenized: {texts}")
def tokenizes(context: Context, texts: str) -> None:
    context.texts = texts.split(" | ")
    context.tokens = [
        ask(context.world, "POST /tokenize", {"content": text})["tokens"] for text in context.texts
    ]


@then("the tokens are those of llama.cpp, and their text is the same again")
def same_tokens(context: Context) -> None:
    llama = PlainLlama(bundled_path())
    try:
        assert context.tokens == [llama.tokenize(text) for text in context.texts], context.tokens
    finally:
        llama.close()
    for text, tokens in zip(context.texts, context.tokens, strict=True):
        again = ask(context.world, "POST /detokenize", {"tokens": tokens, "model": "smollm2"})
        assert again == {"content": text}, (again, text)


@then("with their pieces, and with control tokens as text, they spell the same text")
def pieces(context: Context) -> None:
    text = context.texts[1]
    asked = {"content": text, "with_pieces": True, "parse_special": False}
    found = ask(context.world, "POST /tokenize", asked)["tokens"]
    assert all(set(each) == {"id", "piece"} for each in found), found
    spelled = [each["piece"] for each in found]
    data = b"".join(each.encode() if isinstance(each, str) else bytes(each) for each in spelled)
    assert data.decode() == text and "<|im_start|>" not in spelled, spelled


@then("special tokens and ids among the texts stay where they are")
def mixed(context: Context) -> None:
    """The bundled model expects no special token around a text."""
    first, third = context.tokens[0], context.tokens[2]
    asked = {"content": [context.texts[0], 7, context.texts[2]], "add_special": True}
    found = ask(context.world, "POST /tokenize?model=smollm2", asked)
    assert found == {"tokens": [*first, 7, *third]}, found


@then("{model}, which expects a token at the beginning, gets it where special ones are asked for")
def adds_special(context: Context, model: str) -> None:
    name = f"file:{context.model_files.named(model.strip('<>'))}"
    asked = {"content": context.texts[0], "model": name}
    plain, whole = (
        ask(context.world, "POST /tokenize", {**asked, **more})["tokens"]
        for more in ({}, {"add_special": True})
    )
    assert plain and plain[0] != whole[0] and whole[1:] == plain, (plain, whole)
    read = ask(context.world, "POST /completion", {"prompt": plain, "model": name, "n_predict": 1})
    assert read["tokens_evaluated"] == len(plain), (read, plain)


@when('the chat template is applied to "{said}", with the system\'s "{system}"')
def applies_template(context: Context, said: str, system: str) -> None:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": said}]
    context.prompt = ask(context.world, "POST /apply-template", {"messages": messages})


@then("the prompt is what the template writes, up to where the answer begins")
def prompt_written(context: Context) -> None:
    assert context.prompt == {
        "prompt": "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi <|im_end|>"
        "<|im_end|>\n<|im_start|>assistant\n"
    }, context.prompt


@when('"{prompt}" is completed in llama.cpp\'s way with {count:d} tokens, whole and streamed')
def completes_raw(context: Context, prompt: str, count: int) -> None:
    asked = {"prompt": prompt, "n_predict": count, "temperature": 0, "model": "smollm2"}
    context.completed = prompt, count
    context.answer = ask(context.world, "POST /completion", asked)
    context.chunks = llama_server.chunks(context.world, asked)


@then("the text is the one that llama.cpp itself writes, and the stream says the same")
def same_text(context: Context) -> None:
    llama = PlainLlama(bundled_path())
    try:
        wanted = llama.greedy(*context.completed)
    finally:
        llama.close()
    assert context.answer["content"] == wanted, (context.answer, wanted)
    wrong = llama_server.stream_problem(context.chunks, wanted)
    assert not wrong, wrong


@then("both say how they ended, with settings and timings")
def says_end(context: Context) -> None:
    for answer in (context.answer, context.chunks[-1]):
        wrong = llama_server.answer_problem(answer, *context.completed)
        assert not wrong, wrong
        assert answer["model"] == "smollm2", answer


@then("an answer with a line end in it is told as that")
def has_new_line(context: Context) -> None:
    asked = {"prompt": "x", "grammar": 'root ::= "a\\nb"', "n_predict": 9}
    answer = ask(context.world, "POST /completion", asked)
    *_, last = llama_server.chunks(context.world, asked)
    assert (answer["content"], answer["has_new_line"]) == ("a\nb", True), answer
    assert last["has_new_line"] is True, last


@then("a prompt of texts and ids is read whole")
def mixed_prompt(context: Context) -> None:
    ids = [7, *context.tokens[0]]
    asked = {"n_predict": 3, "temperature": 0, "cache_prompt": False}
    one, other = (
        ask(context.world, "POST /completion", {"prompt": prompt, **asked})
        for prompt in ([7, context.texts[0]], ids)
    )
    assert one["tokens_evaluated"] == other["tokens_evaluated"] == len(ids), (one, other)
    assert one["content"] == other["content"], (one, other)


@when('"{prompt}" is completed until one of these comes: {words}')
def completes_until(context: Context, prompt: str, words: str) -> None:
    asked = {"prompt": prompt, "temperature": 0, "n_predict": 40, "stop": words.split(" | ")}
    context.chunks = llama_server.chunks(context.world, asked)
    context.answer = ask(context.world, "POST /completion", asked)


@then('both say that "{word}" has ended it, and do not show it')
def ended_by(context: Context, word: str) -> None:
    streamed = "".join(each["content"] for each in context.chunks)
    assert streamed == context.answer["content"] != "" and word not in streamed, context.chunks
    for answer in (context.answer, context.chunks[-1]):
        wrong = llama_server.stop_problem(answer, word)
        assert not wrong, wrong


@when("a completion is asked for in llama.cpp's way with these fields")
def completes_with(context: Context) -> None:
    fields = {row["field"]: json.loads(row["value"]) for row in context.table}
    assert ask(context.world, "POST /completion", fields)["stop"] is True


@then("each of these is refused in llama.cpp's shape")
def refused_in_shape(context: Context) -> None:
    for row in context.table:
        body = row["body"].replace("<a text of 9000 words>", "hello " * 9000)
        found = llama_server.refusal_of(llama_server.reply_of(context.world, row["route"], body))
        assert found == (int(row["status"]), row["type"], row["field"]), (row, found)


@then("with a wrong key each route of llama.cpp answers {status:d} in that shape")
def wrong_key(context: Context, status: int) -> None:
    for route in llama_server.ROUTES:
        body = "{}" if route.startswith("POST") else None
        reply = llama_server.reply_of(context.world, route, body, key="wrong")
        assert llama_server.refusal_of(reply) == (status, "authentication_error", ""), reply
