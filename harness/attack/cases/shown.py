"""Text of others on the way to a log or a terminal (item 13)."""

from __future__ import annotations

from pathlib import Path

from harness.attack.cases import case
from harness.attack.scene import Scene
from harness.model_files.synthetic import write_model

_ESC = "\x1b[2J\x07\x9b1m\u202e\u2066\n2026-01-01T00:00:00.000 INFO forged"
_UNSEEN = frozenset("\u202e\u2066\ufeff\u200b\x9b")


@case("words for the log")
def words_for_the_log(scene: Scene) -> None:
    """Paths, queries, headers, names and messages that would drive the terminal of whoever reads
    the log."""
    escaped = "/%1b%5b2J%0a2026-01-01T00:00:00.000%20INFO%20forged%e2%80%ae"
    for program in ("queen", "hive", "worker"):
        for method, target in (
            ("GET", escaped),
            ("POST", escaped),
            ("DELETE", f"/v2/tasks{escaped}"),
        ):
            scene.send(program, method, target)
        scene.send(program, "POST", "/\x1b[2J", headers={"X-Correlation-ID": _ESC})
        scene.send(program, "GET", f"/metrics?{escaped}", headers={"User-Agent": "\x1b[2J"})
    for name in ("model", "node", "worker_id"):
        for program, route in (
            *(("queen", "/v2/models/info"), ("queen", "/v2/workers/start")),
            *(("hive", "/v1/models/info"), ("hive", "/v1/workers/shutdown")),
            ("queen", "/v2/workers/shutdown"),
        ):
            scene.send(program, "POST", route, {"model": f"file:/{_ESC}", name: _ESC})
    said = [{"role": _ESC, "content": _ESC}]
    scene.send("worker", "POST", "/v1/inference", {"messages": said, "max_tokens": 1})
    scene.check_logs()
    for file in scene.logs.glob("*.log*"):
        text = file.read_text(encoding="utf-8", errors="replace")
        scene.expect(not _UNSEEN & set(text), f"{file.name} hides or reorders text")
        forged = [
            line for line in text.splitlines() if line.startswith("2026-01-01T00:00:00.000 INFO f")
        ]
        scene.expect(not forged, f"{file.name} has a forged line")


@case("words for the terminal")
def words_for_the_terminal(scene: Scene) -> None:
    """Names that a model's file, a request or a command line gives are shown, and not obeyed."""
    model = _hostile_model(scene.world.root / "hostile.gguf")
    for line, more in (
        ("rbee-keeper models info", [f"file:{model}"]),
        ("rbee-keeper models info", [f"file:/{_ESC}.gguf"]),
        ("rbee-keeper models info --json", [f"file:/{_ESC}.gguf"]),
        ("rbee-keeper worker stop --id", [_ESC]),
        ("rbee-keeper infer --prompt hi --max-tokens 1 --node", [_ESC]),
        ("rbee-keeper hive status --node", [_ESC]),
    ):
        run = scene.world.start(line, more=more)
        run.wait(30)
        shown = run.stdout.text + run.stderr.text
        controls = {letter for letter in shown if ord(letter) < 32 or 127 <= ord(letter) < 160}
        scene.expect(controls <= {"\n", "\t"}, f"{line} prints {sorted(controls)}")
        scene.expect(not _UNSEEN & set(shown), f"{line} hides or reorders text")


def _hostile_model(path: Path) -> Path:
    """A model whose template fails with hostile words."""
    template = "{{ raise_exception('" + _ESC.replace("\n", "\\n") + "') }}"
    return write_model(path, layers=1, width=64, hidden=64, template=template)
