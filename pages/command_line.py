"""docs/reference/command-line.md: the four programs, each command with its flags and an example."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from pages import markdown
from rbee.hive.cli import main as hive
from rbee.keeper.cli import main as keeper
from rbee.queen.cli import main as queen
from rbee.worker.cli import main as worker

PROGRAMS: dict[str, click.Command] = {
    "rbee-keeper": keeper,
    "queen-rbee": queen,
    "rbee-hive": hive,
    "llm-worker-rbee": worker,
}

_EXIT = """
Exit codes of the keeper: 0 proven success, 1 an error, 2 wrong usage, 130 interrupted
([more](exit-codes.md)). Every command has `--help`.
"""


def commands(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """The command and all its subcommands, each with the words that a user types."""
    yield words, command
    if isinstance(command, click.Group):
        for name, below in sorted(command.commands.items()):
            yield from commands(f"{words} {name}", below)


def page() -> str:
    """The whole page."""
    return markdown.page(
        "Command line",
        "the four programs themselves",
        _EXIT,
        *(_program(name, command) for name, command in PROGRAMS.items()),
    )


def _program(name: str, program: click.Command) -> str:
    shown = [(words, each) for words, each in commands(name, program) if not each.hidden]
    return "\n\n".join(_command(words, each) for words, each in shown)


def _command(words: str, command: click.Command) -> str:
    depth = "##" if " " not in words else "###"
    # As the program sets it: click remembers a command's help option.
    settings = PROGRAMS[words.split()[0]].context_settings
    names = settings.get("help_option_names")
    context = click.Context(command, info_name=words, help_option_names=names)
    usage = f"```\n{' '.join([words, *command.collect_usage_pieces(context)])}\n```"
    rows = [row for each in command.get_params(context) if (row := _parameter(each, context))]
    parts = [f"{depth} {words}", usage, _help(command.help)]
    if isinstance(command, click.Group) and " " in words:
        names = [name for name, each in sorted(command.commands.items()) if not each.hidden]
        links = [f"[{name}](#{markdown.anchor(f'{words} {name}')})" for name in names]
        parts.append(f"Commands: {', '.join(links)}.")
    return "\n\n".join([*parts, markdown.table(["flag", "takes", "meaning"], rows)]).strip()


def _help(text: str | None) -> str:
    """click's own marks: `\\b` keeps the lines of a block as they are."""
    blocks = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(_block(block) for block in blocks)


def _block(block: str) -> str:
    kept = block.removeprefix("\b\n")
    lines = kept.splitlines()
    shown = [line for line in lines if line.startswith("    ")]
    if not shown or (kept == block and len(shown) < len(lines)):
        return _words(block)
    first, last = lines.index(shown[0]), len(lines) - lines[::-1].index(shown[-1])
    code = "\n".join(["```", inspect.cleandoc("\n".join(["", *lines[first:last]])), "```"])
    parts = [_words("\n".join(lines[:first])), code, _words("\n".join(lines[last:]))]
    return "\n\n".join(part for part in parts if part)


def _words(text: str) -> str:
    return text.replace("*", "\\*").replace("[", "\\[").replace("<", "&lt;")


def _parameter(parameter: click.Parameter, context: click.Context) -> list[str] | None:
    """The row of a flag; an argument stands in the usage line, and every command has --help."""
    if not isinstance(parameter, click.Option) or "--help" in parameter.opts:
        return None
    if (record := parameter.get_help_record(context)) is None:
        return None
    flags = ", ".join(markdown.code(name) for name in [*parameter.opts, *parameter.secondary_opts])
    kind = markdown.code(parameter.make_metavar(context)) if not parameter.is_flag else ""
    meaning = record[1].replace("[required]", "").replace("; required]", "]").strip()
    return [flags, f"{kind}, required" if parameter.required else kind, _words(meaning)]
