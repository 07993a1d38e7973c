"""Claude Code, the real program, pointed at the queen: a question that it answers with a tool."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.model_files import scripted
from harness.npm_programs import PROGRAMS
from harness.world.world import World

_WITHIN_S = 90


@dataclass(frozen=True)
class Session:
    """The lines of JSON that it wrote, and its exit code."""

    lines: list[dict[str, Any]]
    exit_code: int

    @property
    def blocks(self) -> list[dict[str, Any]]:
        """What was said in turn, by the model and by the tools."""
        said = (line["message"]["content"] for line in self.lines if "message" in line)
        return [block for content in said if isinstance(content, list) for block in content]

    @property
    def result(self) -> dict[str, Any]:
        """Its last line."""
        return self.lines[-1]


def model_that_reads(world: World, note: Path, answer: str) -> str:
    """The reference of a model that reads a file with Claude Code's own tool, then answers."""
    call = json.dumps({"name": "Read", "arguments": {"file_path": str(note)}})
    call = f"<tool_call>\n{call}\n</tool_call>"
    thought = f"<think>\nI must look.\n</think>\n\n{call}"
    return f"file:{scripted.write(world.root / 'agent.gguf', call, thought, answer)}"


def ask(world: World, model: str, question: str) -> Session:
    """Without a person, with all tools and the system prompt that it has by itself."""
    environment = {
        "ANTHROPIC_BASE_URL": world.queen_url,
        "ANTHROPIC_AUTH_TOKEN": world.key,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "512",
    }
    how = ("--model", model, "--output-format", "stream-json", "--verbose")
    run = PROGRAMS["claude-code"].run(world, ["-p", question, *how], environment, _WITHIN_S)
    lines = [json.loads(line) for line in run.stdout.text.splitlines() if line.startswith("{")]
    assert lines, f"it wrote nothing: {run.stderr.text[-2000:]}"
    return Session(lines, run.exit_code)
