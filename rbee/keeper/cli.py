"""The keeper's command line."""

from __future__ import annotations

import sys

import click

from rbee import __version__


@click.group()
@click.version_option(__version__, prog_name="rbee-keeper")
def main() -> None:
    """Run language models on the computers of your home lab.

    \b
        rbee-keeper infer --prompt "write a short story"

    starts what it needs, shows the answer as it is made, and leaves nothing running. To keep models
    warm between commands: rbee-keeper daemon start.
    """


@main.command()
@click.option("--prompt", required=True, help="What to answer; - reads it from standard input.")
@click.option("--model", help="Which model [default: config, else the bundled one].")
@click.option("--node", help="On which machine [default: this one].")
@click.option("--max-tokens", type=int, help="How many tokens at most [default: 512].")
@click.option("--temperature", type=float, help="0 always takes the likeliest [default: 0.7].")
@click.option("--seed", type=int, help="The same seed gives the same answer.")
@click.option("--stop", multiple=True, help="End before this text; up to four times.")
@click.option("--backend", help="cpu, cuda, metal … [default: the best one there].")
@click.option("--device", type=int, help="Which device of the backend.")
@click.option("--raw", is_flag=True, help="Send the prompt as it is, without the chat template.")
@click.option("--json", "as_json", is_flag=True, help="Every event as a line of JSON.")
@click.option("--quiet", is_flag=True, help="No narration.")
def infer(
    prompt: str, raw: bool, as_json: bool, quiet: bool, stop: tuple[str, ...], **fields: object
) -> None:
    """Ask a model and show its answer as it is made.

    \b
        rbee-keeper infer --prompt "write a short story" --max-tokens 20
        cat letter.txt | rbee-keeper infer --prompt - > answer.txt

    Only the answer goes to standard output. Exit code 0 means that it is whole.
    """
    if prompt == "-":
        prompt = sys.stdin.buffer.read().decode(errors="replace")
    if not prompt.strip():
        raise click.UsageError('The prompt is empty. Say what to answer: --prompt "…"')
    from rbee.keeper import app
    from rbee.keeper.adapters.screen import Screen

    fields["stop"] = list(stop) or None
    sys.exit(app.infer(fields, prompt, raw, Screen(quiet, as_json)))


@main.group()
def daemon() -> None:
    """Keep a queen, and with it the models, between commands."""


@daemon.command()
def start() -> None:
    """Start a queen that lasts until it is stopped."""
    _daemon("start")


@daemon.command()
def stop() -> None:
    """End the queen and everything that it started."""
    _daemon("stop")


@daemon.command()
def status() -> None:
    """Say whether a queen runs and what it has loaded; exit code 1 where none runs."""
    _daemon("status")


def _daemon(action: str) -> None:
    from rbee.keeper import app

    sys.exit(app.daemon(action))


@main.group()
def models() -> None:
    """Fetch, list, check and delete models.

    \b
    A MODEL is written as
        hf:owner/repo                 a quantization is chosen, Q4_K_M if there
        hf:owner/repo:Q8_0            this quantization
        hf:owner/repo/path/file.gguf  this file
    or as an alias of the config file.
    """


_node = click.option("--node", help="On which machine [default: this one].")
_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")
_model = click.argument("model")


@models.command()
@_model
@_node
@click.option("--detach", is_flag=True, help="Do not wait: the download goes on by itself.")
@_json
def download(**fields: object) -> None:
    """Fetch MODEL from Hugging Face; its path is printed.

    \b
        rbee-keeper models download hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0

    A download that breaks off goes on where it stopped when it is asked for again.
    """
    _models("download", fields)


@models.command("list")
@_node
@_json
def list_(**fields: object) -> None:
    """List the models, also those that are partly there."""
    _models("list", fields)


@models.command()
@_model
@_node
@_json
def info(**fields: object) -> None:
    """Tell what is known of MODEL, on the machine or on the Hub.

    \b
        rbee-keeper models info hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF

    Of one that is not there yet only the header is fetched.
    """
    _models("info", fields)


@models.command()
@_model
@_node
@_json
def verify(**fields: object) -> None:
    """Hash MODEL again and compare."""
    _models("verify", fields)


@models.command()
@_model
@_node
@_json
def delete(**fields: object) -> None:
    """Delete MODEL, or what there is of it; refused while a worker holds it."""
    _models("delete", fields)


@models.command("disk-usage")
@_node
@_json
def disk_usage(**fields: object) -> None:
    """Tell what the models take, and what is free."""
    _models("disk-usage", fields)


def _models(action: str, fields: dict[str, object]) -> None:
    from rbee.keeper import app
    from rbee.keeper.adapters.screen import Screen

    as_json = bool(fields.pop("as_json"))
    sys.exit(app.models(action, fields, Screen(as_json=as_json)))
