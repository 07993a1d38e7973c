"""Codex and opencode, the real programs, pointed at the queen: a question that each answers with a
command of its own shell tool."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.model_files import scripted
from harness.npm_programs import PROGRAMS
from harness.world.run import Run
from harness.world.world import World

_WITHIN_S = 90
# What each calls its tool, and the command there.
_TOOLS = {"codex": ("exec_command", "cmd"), "opencode": ("bash", "command")}
_KEY = "RBEE_API_KEY"


@dataclass(frozen=True)
class Session:
    """What a program told in lines of JSON: the commands that it ran, each with what it wrote, what
    it answered at last, its figures of tokens, and its errors."""

    ran: list[tuple[str, str]]
    answers: list[str]
    usage: dict[str, Any]
    errors: list[str]
    exit_code: int


def model_that_reads(world: World, program: str, note: Path, answer: str) -> str:
    """The reference of a model that has the program show a file, then answers."""
    name, parameter = _TOOLS[program]
    call = json.dumps(
        {"name": name, "arguments": {parameter: f"cat {note}", "description": "Read"}}
    )
    call = f"<tool_call>\n{call}\n</tool_call>"
    return f"file:{scripted.write(world.root / 'agent.gguf', call, answer, answer)}"


def ask(world: World, program: str, model: str, question: str) -> Session:
    """Without a person, with all tools and the instructions that it has by itself."""
    if program == "codex":
        return _codex(_run(world, program, [*_codex_settings(world, model), question], {}))
    config = _opencode_config(world, model)
    environment = {
        "OPENCODE_CONFIG_CONTENT": json.dumps(config),
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
    }
    arguments = ["run", "--format", "json", "--model", f"rbee/{model}", question]
    return _opencode(_run(world, program, arguments, environment))


def _run(world: World, program: str, arguments: Sequence[str], more: dict[str, str]) -> Run:
    return PROGRAMS[program].run(world, arguments, {_KEY: world.key, **more}, _WITHIN_S)


def _codex_settings(world: World, model: str) -> list[str]:
    """As docs/how-to/coding-agents.md has them in a file; its sandbox needs a kernel that allows
    it."""
    provider = {
        "name": "rbee",
        "base_url": f"{world.queen_url}/v1",
        "env_key": _KEY,
        "wire_api": "responses",
    }
    table = ",".join(f"{name}={json.dumps(value)}" for name, value in provider.items())
    return [
        *("exec", "--json", "--skip-git-repo-check", "--model", model),
        "--dangerously-bypass-approvals-and-sandbox",
        *("-c", "model_provider=rbee", "-c", f"model_providers.rbee={{{table}}}"),
    ]


def _opencode_config(world: World, model: str) -> dict[str, Any]:
    options = {"baseURL": f"{world.queen_url}/v1", "apiKey": f"{{env:{_KEY}}}"}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "rbee",
        "options": options,
        "models": {model: {"name": "Scripted"}},
    }
    return {"provider": {"rbee": provider}, "permission": {"external_directory": "allow"}}


def _codex(run: Run) -> Session:
    lines = _lines(run)
    done = [line["item"] for line in lines if line["type"] == "item.completed"]
    ran = [each for each in done if each["type"] == "command_execution"]
    ends = [line["usage"] for line in lines if line["type"] == "turn.completed"]
    return Session(
        [(each["command"], each["aggregated_output"]) for each in ran],
        [each["text"] for each in done if each["type"] == "agent_message"],
        ends[-1] if ends else {},
        [line["message"] for line in lines if line["type"] == "error"],
        run.exit_code,
    )


def _opencode(run: Run) -> Session:
    lines = _lines(run)
    tools = [line["part"]["state"] for line in lines if line["type"] == "tool_use"]
    ends = [line["part"]["tokens"] for line in lines if line["type"] == "step_finish"]
    return Session(
        [(each["input"]["command"], each.get("output", each.get("error", ""))) for each in tools],
        [line["part"]["text"] for line in lines if line["type"] == "text"],
        ends[-1] if ends else {},
        [str(line["error"]) for line in lines if line["type"] == "error"],
        run.exit_code,
    )


def _lines(run: Run) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in run.stdout.text.splitlines() if line.startswith("{")]
    assert lines, f"it wrote nothing: {run.stderr.text[-2000:]}"
    return lines
