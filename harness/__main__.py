"""`python -m harness [behave's arguments]`: the features, a JSON report, and one line at the end.

Without arguments it is the whole specification, in four parts at once (parallel_runner.py), and so
it is with these:

    python -m harness -D queen=…               other programs are judged
    python -m harness --order SEED [FOLDER]    features and scenarios in a random order
    python -m harness --each-alone [FOLDER]    each feature file in a run of its own

`.evidence/` then has report.json, report.html, junit.xml and what the programs of failed scenarios
wrote. Exit code 1 if a scenario failed, also if a whole specification has none. With behave's
arguments 5 if none ran: a tag that selects nothing proves nothing.
"""

import argparse
import json
import os
import shlex
import signal
import sys
import tempfile
from pathlib import Path

from behave.__main__ import run_behave
from behave.configuration import Configuration

from harness.running import parallel_runner, run_report
from harness.running.run_facts import facts
from harness.running.scenario_counts import ScenarioCounts


def main(arguments: list[str]) -> int:
    options, for_behave = _options(arguments)
    in_another_way = options.order is not None or options.each_alone
    if not for_behave and (in_another_way or options.folder is None):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        folder = options.folder or Path("features")
        return parallel_runner.run_all(folder, options.order, options.each_alone, options.define)
    assert not in_another_way, f"--order and --each-alone go with a folder only: {for_behave}"
    if part_of_a_run := os.environ.get("HARNESS_REPORT"):
        code, counts = _run(Path(part_of_a_run), arguments)
    else:
        about = facts(shlex.join(arguments), whole=False)
        with tempfile.TemporaryDirectory() as own:  # another run in this folder has its own
            report = Path(own, "report.json")
            code, counts = _run(report, arguments)
            if report.exists():
                run_report.write(json.loads(report.read_text()), about)
    for reason in sorted(set(counts.switched_off)):
        print(f"switched off {reason}")
    print(counts.line, flush=True)
    return counts.code(code)


def _run(report: Path, arguments: list[str]) -> tuple[int, ScenarioCounts]:
    ours = ["--format", "harness.running.json_report:JsonReport", "--outfile", str(report)]
    config = Configuration([*ours, *arguments])
    if len(config.format) == 1:
        config.format.append(config.default_format)
    counts = ScenarioCounts(config)
    config.reporters.append(counts)
    return run_behave(config), counts


def _options(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of a whole run, and what only behave knows."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--order")
    parser.add_argument("--each-alone", action="store_true")
    parser.add_argument("-D", "--define", action="append", default=[])
    parser.add_argument("folder", nargs="?", type=Path)
    return parser.parse_known_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
