"""A user's shell on a terminal, in which Tab completes as rbee-keeper says."""

import re
import time
from pathlib import Path

from harness.world.terminal import Terminal
from harness.world.waiting import NeverHappenedError, wait_until
from harness.world.world import World

_PROMPT = "ready> "
_KEYS_CLEAR = "\x15"  # deletes the line so far
_QUIET_S = 1.0
_SET_UP = {
    "bash": 'PS1="ready> "; bind "set enable-bracketed-paste off" 2>/dev/null; '
    'eval "$(rbee-keeper completion bash)"\n',
    "zsh": "PS1='ready> '; unsetopt prompt_sp; "
    'autoload -U compinit; compinit -u -D; eval "$(rbee-keeper completion zsh)"\n',
    "fish": "",
}
_ARGV = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "-i"],
}
_FISH = """
function fish_prompt; printf 'ready> '; end
function fish_greeting; end
set -g fish_autosuggestion_enabled 0
"""


class Shell:
    """`took` is how many seconds the last completion needed."""

    def __init__(self, world: World, name: str) -> None:
        self.took = 0.0
        home = world.home / ".config" / "fish"
        if name == "fish":
            home.mkdir(parents=True)
            (home / "config.fish").write_text(_FISH)
            # fish would make these at its first start, in a process that outlives the shell.
            (world.home / ".local" / "share" / "fish" / "generated_completions").mkdir(parents=True)
            self._write_fish(world, home / "completions")
        environment = {**world.environment(), "INPUTRC": "/dev/null"}
        copy = world.evidence.folder / f"terminal-{name}"
        self._terminal = Terminal(_ARGV[name], environment, copy)
        world.add_cleanup(self.close)
        if _SET_UP[name]:
            self._terminal.press(_SET_UP[name])
            self._wait(lambda: self._terminal.screen.count(_PROMPT.strip()) >= 1, 10)
            self._terminal.press("clear\n")
        self._wait(lambda: self._terminal.screen.strip() == _PROMPT.strip(), 20)

    @staticmethod
    def _write_fish(world: World, folder: Path) -> None:
        run = world.start("rbee-keeper completion fish")
        assert run.wait(within=10) == 0, run.stderr.text
        folder.mkdir()
        (folder / "rbee-keeper.fish").write_text(run.stdout.text)

    @property
    def pid(self) -> int:
        return self._terminal.pid

    @property
    def line(self) -> str:
        """The text behind the prompt."""
        found = re.findall(rf"^{re.escape(_PROMPT)}(.*)$", self._terminal.screen, re.MULTILINE)
        return str(found[-1]) if found else ""

    @property
    def screen(self) -> str:
        return self._terminal.screen

    def complete(self, typed: str) -> None:
        """Replace the line with this text, then press Tab."""
        self._terminal.press(_KEYS_CLEAR)
        self._wait(lambda: not self.line, 5)
        self._terminal.press(typed)
        self._wait(lambda: self.line == typed, 5)
        self.press_tab()

    def press_tab(self) -> None:
        self._began = time.monotonic()
        self._terminal.press("\t")

    def wait_for(self, line: str) -> None:
        """Wait until this is the line."""
        self._wait(lambda: self.line.rstrip() == line, 10)
        self.took = time.monotonic() - self._began

    def stays(self, line: str) -> bool:
        """Whether the screen still shows only this line after a while."""
        try:
            wait_until("another screen", lambda: self._only(line), _QUIET_S, lambda only: not only)
        except NeverHappenedError:
            return True
        return False

    def close(self) -> None:
        self._terminal.press("\x15\x04")
        self._terminal.wait(within=10)

    def _only(self, line: str) -> bool:
        return self._terminal.screen.strip() == f"{_PROMPT}{line}".strip()

    def _wait(self, seen: object, within: float) -> None:
        assert callable(seen)
        wait_until(
            "the shell",
            lambda: (seen(), self._terminal.screen),
            within,
            lambda found: found[0],
        )
