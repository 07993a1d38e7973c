"""docs/conformance.md: the 62 scenarios and the 45 behaviours, and what proves each."""

from __future__ import annotations

from pathlib import Path

from pages import markdown, proofs
from pages.proofs import Proof

_HOW = """
The specification is in `features/`, one scenario for each number at least; scenarios of our own
stand beside them, tagged `@beyond`. `python -m harness` runs them all against the installed
programs. A number without a proof fails the tests.
"""
_MISSING = "**missing**"


def page(root: Path) -> str:
    """The whole page, of the checkout at `root`."""
    scenarios = proofs.scenarios(root / "features")
    tests = proofs.tests(root / "tests")
    sentences = proofs.behaviours(root / "docs" / "reference" / "behaviours.md")
    return markdown.page(
        "Conformance",
        "`features/`, `tests/` and [the behaviours](reference/behaviours.md)",
        _HOW,
        f"## The {len(proofs.SCENARIOS)} scenarios",
        _told(proofs.SCENARIOS, scenarios),
        markdown.table(
            ["number", "scenario", "feature", "tags"],
            [row for number in proofs.SCENARIOS for row in _scenario(number, scenarios, root)],
        ),
        f"## The {len(sentences)} behaviours",
        _told(list(sentences), scenarios + tests),
        markdown.table(
            ["number", "behaviour", "proof"],
            [
                [number, sentence, _proven(proofs.of(number, scenarios + tests), root)]
                for number, sentence in sentences.items()
            ],
        ),
    )


def missing(numbers: list[str], found: list[Proof]) -> list[str]:
    """The numbers that nothing proves."""
    return [number for number in numbers if not proofs.of(number, found)]


def _told(numbers: list[str], found: list[Proof]) -> str:
    without = missing(numbers, found)
    told = f"{len(numbers) - len(without)} of {len(numbers)} have a proof."
    return f"{told} Missing: {', '.join(without)}." if without else told


def _scenario(number: str, scenarios: list[Proof], root: Path) -> list[list[str]]:
    rows = [
        [number, each.name, _link(each, root), " ".join(f"`@{tag}`" for tag in each.tags)]
        for each in proofs.of(number, scenarios)
    ]
    return rows or [[number, _MISSING, "", ""]]


def _proven(found: list[Proof], root: Path) -> str:
    return "; ".join(f"{_name(each)} ({_link(each, root)})" for each in found) or _MISSING


def _name(proof: Proof) -> str:
    """A scenario by its name, a test by its function's."""
    return proof.name if proof.file.suffix == ".feature" else markdown.code(proof.name)


def _link(proof: Proof, root: Path) -> str:
    path = proof.file.relative_to(root).as_posix()
    short = path.removeprefix("features/").removesuffix(".feature")
    return f"[{short}](../{path})"
