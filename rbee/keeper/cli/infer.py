"""`rbee-keeper infer`."""

from __future__ import annotations

import sys

import click


@click.command()
@click.option("--prompt", required=True, help="What to answer; - reads it from standard input.")
@click.option("--model", help="Which model [default: config, else the bundled one].")
@click.option("--node", help="On which machine [default: the queen chooses].")
@click.option("--max-tokens", type=int, help="How many tokens at most [default: 512].")
@click.option("--temperature", type=float, help="0 always takes the likeliest [default: 0.7].")
@click.option("--seed", type=int, help="The same seed gives the same answer.")
@click.option("--stop", multiple=True, help="End before this text; up to four times.")
@click.option("--backend", help="cpu, cuda, metal … [default: the best one there].")
@click.option("--device", type=int, help="Which device of the backend.")
@click.option("--force", is_flag=True, help="Load the model though the memory may not do.")
@click.option("--explain", is_flag=True, help="Tell why this node and not another one.")
@click.option("--raw", is_flag=True, help="Send the prompt as it is, without the chat template.")
@click.option("--json", "as_json", is_flag=True, help="Every event as a line of JSON.")
@click.option("--quiet", is_flag=True, help="No narration.")
def infer(
    prompt: str, raw: bool, as_json: bool, quiet: bool, stop: tuple[str, ...], **fields: object
) -> None:
    """Ask a model and show its answer as it is made.

    \b
        rbee-keeper infer --prompt "write a short story" --max-tokens 20
        rbee-keeper infer --node workstation --prompt "write a long story"
        cat letter.txt | rbee-keeper infer --prompt - > answer.txt

    Only the answer goes to standard output. Exit code 0 means that it is whole.
    """
    if prompt == "-":
        prompt = sys.stdin.buffer.read().decode(errors="replace")
    if not prompt.strip():
        raise click.UsageError('The prompt is empty. Say what to answer: --prompt "…"')
    from rbee.keeper.adapters.screen import Screen
    from rbee.keeper.app import work

    fields["stop"] = list(stop) or None
    sys.exit(work.infer(fields, prompt, raw, Screen(quiet, as_json)))
