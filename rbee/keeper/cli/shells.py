"""The scripts with which bash, zsh and fish complete. Imported only when one of them asks."""

from __future__ import annotations

import re
from typing import ClassVar

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

PROGRAM = "rbee-keeper"
VARIABLE = "_RBEE_KEEPER_COMPLETE"

# bash splits a word at : and =, which are part of every model's name. So the line is passed on as
# it was typed, and bash gets back only what belongs behind the last of them.
_BASH = """\
%(complete_func)s() {
    local kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            dir) compopt -o dirnames 2>/dev/null ;;
            file) compopt -o default 2>/dev/null ;;
            plain)
                COMPREPLY+=("$value")
                [[ $value == */ ]] && compopt -o nospace 2>/dev/null
                ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
}

complete -o nosort -F %(complete_func)s %(prog_name)s 2>/dev/null ||
    complete -F %(complete_func)s %(prog_name)s
"""


class Bash(BashComplete):
    """Also completes names with a colon, and does not ask for the version of bash."""

    name: ClassVar[str] = "bash"
    source_template: ClassVar[str] = _BASH
    _before = ""

    def source(self) -> str:
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before, and the one that is being typed."""
        import os

        line = os.environ.get("COMP_LINE", "")
        words = split_arg_string(line)
        typed = words.pop() if words and not line[-1].isspace() else ""
        value = typed.partition("=")[2] if typed.startswith("--") else typed
        breaks = [at for at, letter in enumerate(value) if letter in _breaks()]
        self._before = value[: breaks[-1] + 1] if breaks else ""
        return words[1:], typed

    def format_completion(self, item: CompletionItem[str]) -> str:
        return f"{item.type},{_quoted(item.value.removeprefix(self._before))}"


class Zsh(ZshComplete):
    """Also puts no blank behind a folder, which is gone into by the next Tab."""

    name: ClassVar[str] = "zsh"
    source_template: ClassVar[str] = ZshComplete.source_template.replace(
        '            if [[ "$descr" == "_" ]]; then\n',
        '            if [[ "$key" == */ ]]; then\n'
        "                compadd -U -V unsorted -S '' -- \"${key//\\\\:/:}\"\n"
        '            elif [[ "$descr" == "_" ]]; then\n',
    )


class Fish(FishComplete):
    """Also completes files below ~/, which fish's own function for paths does not."""

    name: ClassVar[str] = "fish"
    source_template: ClassVar[str] = FishComplete.source_template.replace(
        "__fish_complete_path $metadata[2]",
        'complete -C "__fish_command_without_completions $metadata[2]"',
    )


def _quoted(value: str) -> str:
    """bash runs what it finds in a completed word, such as $(…); the other shells quote it."""
    return re.sub(r"[^\w@%+=:,./-]", r"\\\g<0>", value)


def _breaks() -> str:
    import os

    return "".join(set(os.environ.get("COMP_WORDBREAKS", ":=")) & set(":="))


def script(command: click.Command, shell: str) -> str:
    """The script that a shell evaluates once."""
    register()
    kind = get_completion_class(shell)
    assert kind is not None, shell
    return kind(command, {}, PROGRAM, VARIABLE).source()


def register() -> None:
    """Make click use these classes instead of its own."""
    add_completion_class(Bash)
    add_completion_class(Zsh)
    add_completion_class(Fish)
