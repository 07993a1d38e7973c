"""The verbs that people know from other programs, such as run, pull and ps. Most are another
command under a shorter name, and say which."""

from __future__ import annotations

import copy
import sys

import click

from rbee.keeper.cli import flags
from rbee.keeper.cli.daemon import daemon
from rbee.keeper.cli.infer import NoPrompt, infer
from rbee.keeper.cli.models import models
from rbee.keeper.cli.worker import worker

_ASKED_BY_INFER = ("prompt", "prompt_file", "words", "interactive", "model")
_NOT_IN_A_CHAT = ("raw", "as_events", "tools")
_ONE_FORM = ("schema", "grammar")


def _another_name(command: click.Command, name: str, text: str) -> click.Command:
    """`command` under another name, with a help of its own."""
    other = copy.copy(command)
    other.name, other.help, other.params = name, text, list(command.params)
    return other


def _options_of_infer(*others: str) -> list[click.Parameter]:
    left_out = (*_ASKED_BY_INFER, *others)
    return [_spelled(each) for each in infer.params if each.name not in left_out]


def _spelled(option: click.Parameter) -> click.Parameter:
    """The option, also as ollama spells it."""
    if option.name != "keep_alive":
        return option
    both = copy.copy(option)
    both.opts = [*option.opts, "--keepalive"]
    return both


_model = click.Argument(["model"], required=False, shell_complete=flags.known_models)
_format = click.Option(
    ["--format", "form"], type=click.Choice(["json"]), help="Answer with any JSON object."
)


def _ask(model: str | None, words: tuple[str, ...], interactive: bool, given: object) -> None:
    assert infer.callback is not None
    assert isinstance(given, dict)
    given = {"raw": False, "as_events": False, "tools": None, **given}
    infer.callback(
        prompt=None, prompt_file=None, words=words, interactive=interactive, model=model, **given
    )


def _run(model: str | None, words: tuple[str, ...], form: str | None, **given: object) -> None:
    if model and not words and " " in model.strip():
        raise click.UsageError(
            f"{model!r} is not a model. The model comes first: rbee-keeper run MODEL {model!r}; to "
            f"ask the default one: rbee-keeper infer {model!r}"
        )
    terminal = bool(sys.stdin and sys.stdin.isatty())
    try:
        _ask(model, words, interactive=terminal and not words, given=given | _formed(form, given))
    except NoPrompt:
        raise click.UsageError(
            'There is no prompt. To ask: rbee-keeper run MODEL "PROMPT", or standard input; to '
            "chat, type it in a terminal."
        ) from None


def _chat(model: str | None, form: str | None, **given: object) -> None:
    _ask(model, (), interactive=True, given=given | _formed(form, given))


def _formed(form: str | None, given: dict[str, object]) -> dict[str, object]:
    """The field of a task that holds its answer to --format."""
    if form is None:
        return {}
    for other in _ONE_FORM:
        if given[other] is not None:
            raise click.UsageError(f"--format can't be combined with --{other}.")
    return {"response_format": {"type": "json_object"}}


run = click.Command(
    "run",
    callback=_run,
    params=[_model, click.Argument(["words"], nargs=-1, metavar="[PROMPT]..."),
            _format, *_options_of_infer()],
    help="""Ask MODEL, or chat with it if there is no prompt.

    \b
        rbee-keeper run qwen-0.5b "write a short story"
        rbee-keeper run qwen-0.5b

    The same as rbee-keeper infer --model MODEL --prompt PROMPT, or --interactive. The prompt may
    also come from standard input.
    """,
)  # fmt: skip
chat = click.Command(
    "chat",
    callback=_chat,
    params=[_model, _format, *_options_of_infer(*_NOT_IN_A_CHAT)],
    help="""Chat with MODEL in the terminal.

    \b
        rbee-keeper chat qwen-0.5b

    The same as rbee-keeper infer --interactive --model MODEL.
    """,
)
pull = _another_name(
    models.commands["download"],
    "pull",
    """Download MODEL from Hugging Face, as models download does.

    \b
        rbee-keeper pull hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF
    """,
)
list_ = _another_name(
    models.commands["list"],
    "list",
    """List the models on disk, as models list does.

    \b
        rbee-keeper list
    """,
)
search = _another_name(
    models.commands["search"],
    "search",
    """Search the Hub for models in GGUF, as models search does.

    \b
        rbee-keeper search qwen coder
    """,
)
show = _another_name(
    models.commands["info"],
    "show",
    """Describe MODEL, as models info does.

    \b
        rbee-keeper show qwen-0.5b
    """,
)
rm = _another_name(
    models.commands["delete"],
    "rm",
    """Delete MODEL from the disk, as models delete does.

    \b
        rbee-keeper rm hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0
    """,
)
ps = _another_name(
    worker.commands["list"],
    "ps",
    """List the models in memory, as worker list does.

    \b
        rbee-keeper ps
    """,
)
status = _another_name(
    daemon.commands["status"],
    "status",
    """Say whether a queen runs and what it has loaded, as daemon status does.

    \b
        rbee-keeper status
    """,
)


@click.command()
@click.argument("model", shell_complete=flags.known_models)
@flags.as_json
def stop(model: str, **given: object) -> None:
    """Free the memory that MODEL takes: stop its workers.

    \b
        rbee-keeper stop qwen-0.5b

    Running answers may finish within the grace period. To stop one worker of several: rbee-keeper
    worker stop --id. To stop the queen: rbee-keeper daemon stop.
    """
    from rbee.keeper.commands import worker as commands

    commands.stop_model(model=model, **given)


@click.command()
def serve() -> None:
    """Run a queen in this terminal until Ctrl+C.

    \b
        rbee-keeper serve

    Models stay loaded while it runs. To run it in the background: rbee-keeper daemon start.
    """
    from rbee.keeper.commands import daemon as commands

    commands.serve()


@click.command()
@flags.as_json
def update(**given: object) -> None:
    """Say whether a newer rbee can be had, and the command that gets it.

    \b
        rbee-keeper update

    The place that rbee was installed from is asked: the package index, with pip, or a repository,
    with git. Nothing is installed, and no other command asks. The exit code is 1 if what is new
    can't be known, such as without a network.
    """
    from rbee.keeper.commands import update as commands

    commands.update(**given)


@click.command("help")
@click.argument("command", nargs=-1)
@click.pass_context
def help_(context: click.Context, command: tuple[str, ...]) -> None:
    """Show the help of a command.

    \b
        rbee-keeper help models download
    """
    at = context.find_root()
    for name in command:
        if not isinstance(at.command, click.Group):
            at.fail(f"No such command '{name}'.")
        _, below, _ = at.command.resolve_command(at, [name])
        assert below is not None  # or it would have been a wrong command line
        at = click.Context(below, info_name=name, parent=at)
    click.echo(at.get_help())
