"""`rbee-keeper infer`."""

from __future__ import annotations

import sys

import click

from rbee.keeper.cli import flags


@click.command()
@click.option("--prompt", "-p", help="What to answer; - reads it from standard input.")
@flags.file_option(
    "--prompt-file", "-f", help="A file with the prompt; with --prompt it stands below."
)
@click.option("--system", help="How to answer, said to the model before everything else.")
@click.option("--interactive", "-i", is_flag=True, help="Chat: ask on, with all that was said.")
@flags.model_option(help="Which model [default: config, else the bundled one].")
@flags.node_option(help="On which machine [default: the queen chooses].")
@click.option("--max-tokens", type=int, help="How many tokens at most [default: 512].")
@click.option("--temperature", type=float, help="0 always takes the likeliest [default: 0.7].")
@click.option("--top-p", type=float, help="Choose among the likeliest that sum up to this [0.95].")
@click.option("--top-k", type=int, help="Choose among so many, 0 for all [default: 40].")
@click.option("--min-p", type=float, help="No less likely than this part of the likeliest [0.05].")
@click.option("--repeat-penalty", type=float, help="Above 1 repeats less [default: 1].")
@click.option("--seed", type=int, help="The same seed gives the same answer.")
@click.option("--stop", multiple=True, help="End before this text; up to four times.")
@click.option("--ignore-eos", is_flag=True, help="Go on to --max-tokens.")
@click.option("--keep-alive", help="How long the model may stay idle: 10m, 0, -1 for ever.")
@click.option("--backend", help="cpu, cuda, metal … [default: the best one there].")
@click.option("--device", type=int, help="Which device of the backend.")
@click.option("--force", is_flag=True, help="Load the model though the memory may not do.")
@click.option("--explain", is_flag=True, help="Tell why this node and not another one.")
@click.option("--raw", is_flag=True, help="Send the prompt as it is, without the chat template.")
@click.option("--json", "as_json", is_flag=True, help="Every event as a line of JSON.")
@click.option("--quiet", is_flag=True, help="No narration.")
def infer(
    prompt: str | None,
    prompt_file: str | None,
    system: str | None,
    interactive: bool,
    raw: bool,
    as_json: bool,
    quiet: bool,
    stop: tuple[str, ...],
    **fields: object,
) -> None:
    """Ask a model and show its answer as it is made.

    \b
        rbee-keeper infer --prompt "write a short story" --max-tokens 20
        rbee-keeper infer --node workstation --prompt "write a long story"
        rbee-keeper infer --prompt "Make this polite:" --prompt-file letter.txt
        git diff | rbee-keeper infer > message.txt
        rbee-keeper infer --interactive

    Only the answer goes to standard output. Exit code 0 means that it is whole.
    """
    from rbee.keeper.app import asking
    from rbee.runtime.screen import Screen

    fields["stop"] = list(stop) or None
    if raw and system is not None:
        raise click.UsageError("--raw sends the prompt alone: write the system text into it.")
    if interactive:
        _check_chat(raw, as_json)
        first = _prompt(prompt, prompt_file, raw) if prompt or prompt_file else None
        sys.exit(asking.chat(fields, first, system, Screen(quiet)))
    text = _prompt(prompt, prompt_file, raw)
    if text is None:
        raise click.UsageError(
            'Say what to answer: --prompt "…", --prompt-file FILE, or a text on standard input.\n'
            "To chat: --interactive"
        )
    if not text.strip():
        raise click.UsageError('The prompt is empty. Say what to answer: --prompt "…"')
    sys.exit(asking.infer(fields, text, system, raw, Screen(quiet, as_json, streams=True)))


def _prompt(text: str | None, file: str | None, raw: bool) -> str | None:
    from rbee.keeper.terminal import prompt

    try:
        return prompt.find(text, file, exact=raw)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except KeyboardInterrupt:
        click.echo("Canceled.", err=True)
        sys.exit(130)


def _check_chat(raw: bool, as_json: bool) -> None:
    if raw or as_json:
        other = "--raw" if raw else "--json"
        raise click.UsageError(f"--interactive is for a person: it does not go with {other}.")
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout and sys.stdout.isatty()):
        raise click.UsageError(
            "--interactive needs a terminal, for what you type and for what is answered. "
            'Without one ask a single question: --prompt "…"'
        )
