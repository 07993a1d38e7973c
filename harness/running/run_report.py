"""What a run leaves for others to read, below `.evidence`:

report.json   behave's own report, of all parts
run.json      which code, when, on what machine; and the sha256 of report.json
junit.xml     for machines that show test results
report.html   for people: each scenario with its steps, times and, if it failed, its evidence
"""

import hashlib
import json
from typing import Any

from harness.running import html_report, junit_report
from harness.running.parts import EVIDENCE


def write(features: list[dict[str, Any]], about: dict[str, Any]) -> None:
    """`about` is what `run_facts` says."""
    EVIDENCE.mkdir(exist_ok=True)
    report = json.dumps(features)
    (EVIDENCE / "report.json").write_text(report, encoding="utf-8")
    about = {**about, "report_sha256": hashlib.sha256(report.encode()).hexdigest()}
    (EVIDENCE / "run.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    (EVIDENCE / "junit.xml").write_text(junit_report.text(features), encoding="utf-8")
    (EVIDENCE / "report.html").write_text(html_report.text(features, about), encoding="utf-8")
