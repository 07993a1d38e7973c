"""What a person is told about each of many files, one after the other."""

from collections.abc import Iterable
from dataclasses import dataclass

from harness.watching import keeper_output
from harness.world.world import World

_WITHIN_S = 60


@dataclass(frozen=True)
class Refusal:
    file: str
    exit_code: int
    codes: list[str]
    text: str


def ask_about(world: World, files: Iterable[str]) -> list[Refusal]:
    """`rbee-keeper infer` on each; the names are those of model_files/broken.py."""
    found = []
    for name in files:
        path = world.shelf.broken(name)
        run = world.start(
            "rbee-keeper infer --quiet --prompt hi --max-tokens 1 --model", more=[f"file:{path}"]
        )
        code = run.wait(_WITHIN_S)
        found.append(
            Refusal(name, code, keeper_output.error_codes(run.stderr.text), run.stderr.text)
        )
    return found


def wrong(refusal: Refusal, code: str, words: str) -> list[str]:
    """What is wrong with it; empty where it is as it should be."""
    text = refusal.text.lower()
    faults = {
        f"exit code {refusal.exit_code}": refusal.exit_code != 1,
        f"told {refusal.codes}, not {code}": refusal.codes != [code],
        f"does not say {words!r}": words.lower() not in text,
        "no next step": not keeper_output.next_steps(refusal.text),
        "a traceback": "traceback" in text,
    }
    told = "; ".join(fault for fault, there in faults.items() if there)
    return [f"{refusal.file}: {told}: {refusal.text.strip()!r}"] if told else []
