"""The scripts of the shells, and what bash passes on."""

from __future__ import annotations

import pytest
from click.shell_completion import CompletionItem

from rbee.keeper.cli import main, shells


@pytest.mark.parametrize(
    ("line", "args", "typed", "before"),
    [
        ("rbee-keeper inf", [], "inf", ""),
        ("rbee-keeper infer ", ["infer"], "", ""),
        ("rbee-keeper infer --model hf:a/b", ["infer", "--model"], "hf:a/b", "hf:"),
        ("rbee-keeper infer --model=hf:a/b", ["infer"], "--model=hf:a/b", "hf:"),
        ("rbee-keeper infer --node=at", ["infer"], "--node=at", ""),
        ("rbee-keeper infer --prompt 'a b' --no", ["infer", "--prompt", "a b"], "--no", ""),
    ],
)
def test_bash_passes_the_line_and_gets_what_belongs_behind_the_colon(
    monkeypatch: pytest.MonkeyPatch, line: str, args: list[str], typed: str, before: str
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_WORDBREAKS", " \t\n\"'><=;|&(:")
    bash = shells.Bash(main, {}, shells.PROGRAM, shells.VARIABLE)
    assert bash.get_completion_args() == (args, typed)
    item = CompletionItem(f"{before}rest")
    assert bash.format_completion(item) == "plain,rest"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    assert shells.VARIABLE in shells.script(main, shell)
