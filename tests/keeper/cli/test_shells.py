"""The scripts of the shells, and what bash passes on."""

from __future__ import annotations

import subprocess
from pathlib import Path

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


def test_bash_runs_nothing_that_a_completed_word_has(home: Path) -> None:
    names = [
        "hf:a/b@main:Q4_K_M",
        "file:/m odel.gguf",
        "w$(touch owned)`touch owned`;touch owned",
        "a'b\"c",
        "&|<>*?[]{}!#~\\",
        "~root",
        "中文.gguf",
    ]
    bash = shells.Bash(main, {}, shells.PROGRAM, shells.VARIABLE)
    words = [bash.format_completion(CompletionItem(name)).removeprefix("plain,") for name in names]
    assert words[0] == names[0]
    line = f"printf '%s\\n' {' '.join(words)}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=home, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == names
    assert not (home / "owned").exists()
