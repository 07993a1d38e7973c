"""The answer's tokens and the narration of how they came about."""

from behave import then, when
from behave.runner import Context

from harness.watching import keeper_output
from harness.world import cluster
from harness.world.waiting import wait_until

_ODD = "Repeat: $HOME `id` \"a\" 'b' \\n !! * ünï 🐝 ; & | > <x>"


@then("the answer has exactly {count:d} tokens")
def exact_tokens(context: Context, count: int) -> None:
    text = context.run.stdout.text
    done = keeper_output.data_of(text, "done")
    assert len(keeper_output.tokens(text)) == count, keeper_output.tokens(text)
    assert done["total_tokens"] == count, done
    assert done["stop_reason"] == "MAX_TOKENS", done


@then("the tokens are numbered from 0 without a gap")
def numbered(context: Context) -> None:
    indexes = [token["index"] for token in keeper_output.tokens(context.run.stdout.text)]
    assert indexes == list(range(len(indexes))), indexes


@then("they arrived in at least {count:d} pieces")
def in_pieces(context: Context, count: int) -> None:
    arrivals = [at for at, _ in context.run.stdout.pieces]
    assert len(arrivals) >= count, arrivals
    done = keeper_output.data_of(context.run.stdout.text, "done")
    spread_ms = (arrivals[-1] - arrivals[0]) * 1000
    made_in_ms = done["duration_ms"] - done["time_to_first_token_ms"]
    assert spread_ms > made_in_ms / 2, f"all at once: {spread_ms} ms of {made_in_ms} ms"


@then("a token is on the screen while the hive lists the worker as busy")
def live(context: Context) -> None:
    run = context.run
    wait_until("the first token", lambda: keeper_output.tokens(run.stdout.text), 30)
    assert cluster.only_worker(context.world)["state"] == "busy"
    assert '"done"' not in run.stdout.text, "it was over already"
    assert run.running


@then("the text on standard output is the tokens of the run before")
def the_same_text(context: Context) -> None:
    tokens = keeper_output.tokens(context.run_before.stdout.text)
    said = "".join(token["token"] for token in tokens)
    assert context.run.stdout.text.rstrip("\n") == said.rstrip("\n"), context.run.stdout.text


@then('"{phase}" is told as skipped')
def phase_skipped(context: Context, phase: str) -> None:
    line = keeper_output.phase_line(context.run.stderr.text, phase)
    assert "skipped" in line, line


@then('the phases are told in order, "{second}" right after "{first}"')
def phases_in_order(context: Context, first: str, second: str) -> None:
    told = keeper_output.phases_told(context.run.stderr.text)
    assert told == keeper_output.PHASES, told
    assert told.index(second) == told.index(first) + 1
    line = keeper_output.phase_line(context.run.stderr.text, second)
    assert "skipped" not in line, line


@then('the stream ended with the error {code} and without "done"')
def ended_with_error(context: Context, code: str) -> None:
    text = context.run.stdout.text
    assert keeper_output.data_of(text, "error")["error"]["code"] == code
    assert "done" not in [name for name, _ in keeper_output.events(text)]


@then("the same worker answered")
def same_worker(context: Context) -> None:
    started = keeper_output.data_of(context.run.stdout.text, "started")
    assert started["worker_id"] == context.worker["id"], (started, context.worker)
    assert cluster.processes(context.world)["worker"] == context.before["worker"]


@when("I ask with odd characters in the prompt, as an argument, on standard input, and over HTTP")
def ask_three_times(context: Context) -> None:
    line = "rbee-keeper infer --json --max-tokens 10 --temperature 0 --prompt"
    runs = [
        context.world.start(line, more=[_ODD]),
        context.world.start(f"{line} -", stdin=_ODD),
    ]
    assert [run.wait(within=60) for run in runs] == [0, 0], [run.stderr.text for run in runs]
    body = {"messages": [{"role": "user", "content": _ODD}], "max_tokens": 10, "temperature": 0}
    stream = context.world.stream("POST", f"{context.world.queen_url}/v2/tasks", body)
    stream.wait_for_end(within=30)
    over_http = [(event.name, event.data) for event in stream.events]
    context.three = [*(keeper_output.events(run.stdout.text) for run in runs), over_http]


@then("all three times the prompt has as many tokens and the answer is the same")
def three_the_same(context: Context) -> None:
    first, *others = [
        (
            [data["prompt_tokens"] for name, data in events if name == "done"],
            "".join(data["token"] for name, data in events if name == "token"),
        )
        for events in context.three
    ]
    assert first[0], first
    assert first[1], first
    assert others == [first, first], (first, others)
