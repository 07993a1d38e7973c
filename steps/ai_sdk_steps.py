"""The AI SDK, pointed at the queen."""

from behave import then, when
from behave.runner import Context

from harness.watching import ai_sdk


@when("the AI SDK asks the bundled model and {model} with each of its providers")
def asks(context: Context, model: str) -> None:
    caller = f"file:{context.model_files.named(model.strip('<>'))}"
    context.found = ai_sdk.ask(context.world, "smollm2", caller)


@then(
    "each of its {count:d} providers gets a text and its usage, "
    "and OpenAI's get the same whole and streamed"
)
def gets_texts(context: Context, count: int) -> None:
    assert len(context.found) == count, context.found
    for provider, found in context.found.items():
        whole, streamed = found["texts"]
        assert whole and streamed, found
        assert whole == streamed or not provider.startswith("openai"), found
        for usage in found["usage"]:
            read, written = usage["inputTokens"], usage["outputTokens"]
            assert 10 < read < 100 and 0 < written <= 60, found
            assert usage["totalTokens"] == read + written, found


@then('each runs its function for "{city}", whole and streamed, and ends with "{words}"')
def runs_functions(context: Context, city: str, words: str) -> None:
    for found in context.found.values():
        assert (found["ran"], found["last"]) == ([city] * 2, [words] * 2), found


@then("each has the bundled model call the function that it must call, and no other")
def must_call(context: Context) -> None:
    for found in context.found.values():
        assert set(found["must"]) == {"weather"}, found


@then("each gets an object after its schema")
def gets_objects(context: Context) -> None:
    for found in context.found.values():
        pet = found["output"]
        assert set(pet) == {"kind", "isOld"} and pet["kind"] in ("cat", "dog"), found
        assert isinstance(pet["isOld"], bool), found


@then("each reads of an unknown model that it is not there, with {status:d}")
def reads_errors(context: Context, status: int) -> None:
    for found in context.found.values():
        code, body = found["unknown"]
        assert code == status and "There is no model named 'nonesuch'" in body, found


@then("those that make vectors get {count:d} of {length:d} numbers")
def gets_vectors(context: Context, count: int, length: int) -> None:
    made = {name: each["vectors"] for name, each in context.found.items() if each.get("vectors")}
    assert len(made) == 3, made
    assert all(found == [length] * count for found in made.values()), made
