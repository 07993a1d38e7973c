"""`python -m harness.attack`: attack the installed programs, and print what came of it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from harness.attack.attack import FUZZER, Plan, attack
from harness.attack.cases import all_cases
from harness.attack.table import table


def main(words: list[str] | None = None) -> int:
    """1 if a program did not hold, 2 if there is nothing to run."""
    options = _parser().parse_args(words)
    known = all_cases()
    if options.list:
        print("\n".join(f"{case.name}: {case.about}" for case in known))
        return 0
    chosen = [case for case in known if not options.case or case.name in options.case]
    if not options.case and options.quick:
        chosen = [case for case in chosen if not case.slow and not case.own]
    unknown = set(options.case) - {case.name for case in known} - {FUZZER}
    if unknown:
        print(f"There is no case {', '.join(sorted(unknown))}; --list shows all.", file=sys.stderr)
        return 2
    wants_fuzzer = not options.case or FUZZER in options.case
    plan = Plan(
        options.seed,
        options.requests if wants_fuzzer else 0,
        options.seconds,
        tuple(chosen),
        options.foreign,
        options.evidence.absolute(),
    )
    results = []
    for result in attack(plan):
        results.append(result)
        verdict = "held" if result.held else f"FAILED: {result.faults[0][:300]}"
        print(f"{result.case}: {verdict} ({result.took_s:.1f} s)", file=sys.stderr, flush=True)
    print(table(results))
    if options.json:
        found = {"seed": plan.seed, "results": [result.as_json() for result in results]}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0 if results and all(result.held for result in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m harness.attack", description=__doc__)
    add = parser.add_argument
    add("--seed", type=int, default=17, help="the same seed draws the same requests")
    add("--requests", type=int, default=10_000, help="how many the fuzzer sends")
    add("--foreign", action="store_true", help="fuzz only the routes in protocols of others")
    add("--seconds", type=float, default=1800, help="begin nothing after so many seconds")
    add(
        "--case", action="append", default=[], metavar="NAME", help="run only this; may be repeated"
    )
    add("--quick", action="store_true", help="leave out the cases that are slow or boot a world")
    add("--list", action="store_true", help="print the cases and exit")
    add("--json", type=Path, metavar="FILE", help="also write the results to this file")
    add("--evidence", type=Path, default=Path(".evidence"), help="for the output of what failed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
