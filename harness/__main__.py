"""`python -m harness [behave's arguments]`: the features, a JSON report, and one line at the end.

Without arguments it is the whole specification, in four parts at once (parallel_runner.py).

Exit code 1 if a scenario failed, also if a whole specification has none. With arguments 5 if none
ran: a tag that selects nothing proves nothing.
"""

import os
import signal
import sys
from pathlib import Path

from behave.__main__ import run_behave
from behave.configuration import Configuration

from harness.running import parallel_runner
from harness.running.scenario_counts import ScenarioCounts


def main(arguments: list[str]) -> int:
    if not arguments:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        return parallel_runner.run_all(Path("features"))
    report = Path(os.environ.get("HARNESS_REPORT", ".evidence/report.json"))
    report.parent.mkdir(exist_ok=True)
    config = Configuration(["--format", "json", "--outfile", str(report), *arguments])
    if len(config.format) == 1:
        config.format.append(config.default_format)
    verdicts = ScenarioCounts(config)
    config.reporters.append(verdicts)
    code = run_behave(config)
    for reason in sorted(set(verdicts.switched_off)):
        print(f"switched off {reason}")
    print(verdicts.line, flush=True)
    return verdicts.code(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
