"""`rbee-keeper infer`."""

from __future__ import annotations

import sys

import click

from rbee.keeper.cli import flags


class NoPrompt(click.UsageError):
    """There is nothing to ask."""


@click.command()
@click.argument("words", nargs=-1, metavar="[PROMPT]...")
@click.option("--prompt", "-p", help="The prompt; - reads it from standard input.")
@flags.file_option(
    "--prompt-file", "-f", help="Read the prompt from a file; with --prompt, add it below."
)
@click.option("--system", help="Instructions for the model, sent before everything else.")
@click.option("--interactive", "-i", is_flag=True, help="Chat: ask several questions in a row.")
@flags.model_option(help="The model [default: from the config file, or the bundled model].")
@flags.node_option(help="The machine that answers [default: the queen chooses].")
@click.option("--max-tokens", type=int, help="Generate at most this many tokens [default: 512].")
@click.option(
    "--temperature", type=float, help="Randomness; 0 always takes the top token [default: 0.7]."
)
@click.option(
    "--top-p", type=float, help="Sample from the top tokens up to this probability in total [0.95]."
)
@click.option("--top-k", type=int, help="Sample from this many top tokens; 0 is all [default: 40].")
@click.option(
    "--min-p",
    type=float,
    help="Drop tokens below this fraction of the top token's probability [0.05].",
)
@click.option("--repeat-penalty", type=float, help="Above 1, repeat less [default: 1].")
@click.option("--seed", type=int, help="The same seed gives the same answer; -1 is any.")
@click.option("--stop", multiple=True, help="Stop before this text; may be given up to 64 times.")
@click.option(
    "--ignore-eos", is_flag=True, help="Go on to --max-tokens, past the end of the answer."
)
@click.option(
    "--think/--no-think",
    default=None,
    help="Let the model reason first, or not, if it can do both [default: as it likes].",
)
@flags.file_option("--schema", help="Answer with JSON after the JSON schema in this file.")
@flags.file_option("--grammar", help="Answer after the GBNF grammar in this file.")
@click.option("--keep-alive", help="How long an idle model stays loaded: 10m, 0, or -1 (forever).")
@flags.backend
@flags.device
@click.option("--context", type=int, help="Tokens of context that the model must have at least.")
@flags.force
@flags.explain
@flags.file_option(
    "--tools", help="Functions that the model may call: a JSON file, in OpenAI's form."
)
@click.option("--raw", is_flag=True, help="Send the prompt as it is, without a chat template.")
@flags.as_events
@flags.quiet
@flags.verbose
def infer(
    words: tuple[str, ...],
    prompt: str | None,
    prompt_file: str | None,
    system: str | None,
    interactive: bool,
    raw: bool,
    as_events: bool,
    stop: tuple[str, ...],
    schema: str | None,
    grammar: str | None,
    tools: str | None,
    **given: object,
) -> None:
    """Ask a model, and print its answer as it is generated.

    \b
        rbee-keeper infer "write a short story" --max-tokens 20
        rbee-keeper infer --node workstation --prompt "write a long story"
        rbee-keeper infer --prompt "Make this polite:" --prompt-file letter.txt
        git diff | rbee-keeper infer > message.txt
        rbee-keeper infer --interactive

    Only the answer goes to standard output, and each function that the model calls, as a line of
    JSON. Exit code 0 means that the answer is complete.
    """
    from rbee.keeper.commands import infer as commands

    if words and prompt is not None:
        raise click.UsageError("There are two prompts. Write one: --prompt, or as an argument.")
    prompt = " ".join(words) if words else prompt
    given["stop"] = list(stop) or None
    if given["seed"] == -1:  # as other programs write "any"
        given["seed"] = None
    given |= _form(schema, grammar, [prompt, prompt_file])
    given["tools"] = _tools(tools)
    if raw and system is not None:
        raise click.UsageError("--raw sends only the prompt. Put the system text into it.")
    if raw and given["think"] is not None:
        raise click.UsageError("--raw asks without a chat template, which alone knows --think.")
    if interactive:
        _check_chat(raw, as_events, tools is not None)
        first = _prompt(prompt, prompt_file, raw) if prompt or prompt_file else None
        commands.chat(first, system, **given)
    text = _prompt(prompt, prompt_file, raw)
    if text is None:
        raise NoPrompt(
            "There is no prompt. To chat, use --interactive; to ask, "
            '--prompt "…", --prompt-file FILE, or standard input.'
        )
    if not text.strip():
        raise NoPrompt('The prompt is empty. Write one: --prompt "…"')
    commands.infer(text, system, raw, as_events=as_events, **given)


def _prompt(text: str | None, file: str | None, raw: bool) -> str | None:
    from rbee.keeper.terminal import prompt

    try:
        return prompt.find(text, file, exact=raw)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _tools(file: str | None) -> object:
    """The file's list of tools; a single one may stand alone."""
    if file is None:
        return None
    found = _json(_text(file), file)
    return found if isinstance(found, list) else [found]


def _form(schema: str | None, grammar: str | None, others: list[str | None]) -> dict[str, object]:
    """The fields of a task that hold its answer to a form."""
    if schema is not None and grammar is not None:
        raise click.UsageError("--schema can't be combined with --grammar.")
    file = schema if schema is not None else grammar
    if file == "-" and ("-" in others or others == [None, None]):
        raise click.UsageError("Standard input can be only one of the prompt and the form.")
    text = None if file is None else _text(file)
    if text is None or schema is None:
        return {"grammar": text}
    found = _json(text, schema)
    if not isinstance(found, dict):
        raise click.UsageError(f"{schema} is not a JSON schema: it must be an object.")
    return {"response_format": {"type": "json_schema", "json_schema": {"schema": found}}}


def _text(file: str) -> str:
    from rbee.keeper.terminal import prompt

    try:
        return prompt.read_file(file)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _json(text: str, file: str) -> object:
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{file} is not JSON: {error}.") from None


def _check_chat(raw: bool, as_events: bool, tools: bool) -> None:
    if raw or as_events or tools:
        other = "--raw" if raw else "--json" if as_events else "--tools"
        raise click.UsageError(f"--interactive can't be combined with {other}.")
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout and sys.stdout.isatty()):
        raise click.UsageError(
            "--interactive needs a terminal for both input and output. "
            'To ask a single question without one: --prompt "…"'
        )
