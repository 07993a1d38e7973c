"""The page of commands leaves none out, and each shows how it is typed."""

from __future__ import annotations

import inspect

import click
import pytest

from pages import command_line

ALL = {
    words: command
    for name, program in command_line.PROGRAMS.items()
    for words, command in command_line.commands(name, program)
}
PAGE = command_line.page()


def examples(command: click.Command) -> list[str]:
    """The lines of its help that are commands."""
    return [
        line.strip()
        for line in inspect.cleandoc(command.help or "").splitlines()
        if line.startswith("    ")
    ]


@pytest.mark.parametrize("words", ALL)
def test_the_help_of_every_command_has_an_example(words: str) -> None:
    """An older name may show the newer one."""
    found = examples(ALL[words])
    program = words.split()[0]
    assert any(program in line for line in found), f"{words} --help shows no example: {found}"


@pytest.mark.parametrize("words", ALL)
def test_every_command_is_on_the_page(words: str) -> None:
    assert f"## {words}\n" in PAGE


@pytest.mark.parametrize("words", ALL)
def test_every_flag_is_on_the_page_and_says_what_it_is(words: str) -> None:
    section = PAGE.split(f"## {words}\n")[1].split("\n##")[0]
    for parameter in ALL[words].params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            [row] = [line for line in section.splitlines() if f"`{parameter.opts[0]}`" in line]
            assert row.split("|")[3].strip(), f"{words} {parameter.opts[0]} has no help"
