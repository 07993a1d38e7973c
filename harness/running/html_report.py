"""A run as one page of HTML without scripts: features fold out to scenarios, those to steps."""

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

from harness.running.scenario_results import Outcome, StepOutcome, outcomes

_STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em }
summary { cursor: pointer; padding: .15em 0 }
details details { margin-left: 1.5em }
pre { background: #f4f4f4; overflow-x: auto; padding: .6em; font-size: 12px }
table { border-collapse: collapse; margin-left: 1.5em }
td, th { padding: .1em .8em .1em 0; text-align: left; vertical-align: top }
td.time { text-align: right; color: #666; white-space: nowrap }
.passed { color: #17702f } .skipped { color: #8a6100 } .tags { color: #666; font-size: 12px }
.failed, .error, .hook_error, .undefined, .untested { color: #b01020; font-weight: bold }
"""


def text(features: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """`about` is what `run_facts` says."""
    found = [(feature, outcomes(feature)) for feature in features]
    every = [outcome for _, group in found for outcome in group]
    counts = Counter(outcome.status for outcome in every)
    title = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title or 'No scenario ran')}</h1>",
            _about(about),
            *_switched_off(every),
            *(_feature(feature["name"], group) for feature, group in found if group),
            "</body></html>\n",
        ]
    )


def _about(about: dict[str, Any]) -> str:
    rows = [f"<tr><th>{escape(key)}<td>{escape(str(about[key]))}" for key in about]
    return f"<table>{''.join(rows)}</table>"


def _switched_off(every: Sequence[Outcome]) -> list[str]:
    reasons = Counter(outcome.reason for outcome in every if outcome.status == "skipped")
    lines = [f"<li>{count}: {escape(reason)}" for reason, count in sorted(reasons.items())]
    return ["<h2>Switched off</h2><ul>", *lines, "</ul>"] if lines else []


def _feature(name: str, group: Sequence[Outcome]) -> str:
    bad = [outcome for outcome in group if outcome.status not in ("passed", "skipped")]
    took = sum(outcome.took_s for outcome in group)
    counts = Counter(outcome.status for outcome in group)
    status = bad[0].status if bad else "passed" if counts["passed"] else "skipped"
    told = ", ".join(f"{count} {each}" for each, count in counts.items())
    return "\n".join(
        [
            f"<details{' open' if bad else ''}><summary><span class={status}>{escape(name)}</span>",
            f'<span class="tags">{escape(group[0].file)}: {told}, {took:.1f} s</span></summary>',
            *(_scenario(outcome) for outcome in group),
            "</details>",
        ]
    )


def _scenario(outcome: Outcome) -> str:
    bad = outcome.status not in ("passed", "skipped")
    tags = " ".join(f"@{tag}" for tag in outcome.tags)
    reason = f"<pre>{escape(outcome.reason)}</pre>" if outcome.reason else ""
    evidence = f"<h4>Evidence</h4><pre>{escape(outcome.evidence)}</pre>" if outcome.evidence else ""
    return "\n".join(
        [
            f"<details{' open' if bad else ''}><summary><span class={outcome.status}>",
            f"{outcome.status}</span> {escape(outcome.name)} ({outcome.took_s:.1f} s)",
            f'<span class="tags">line {outcome.line} {escape(tags)}</span></summary>',
            reason,
            f"<table>{''.join(_step(step) for step in outcome.steps)}</table>",
            evidence,
            "</details>",
        ]
    )


def _step(step: StepOutcome) -> str:
    more = f"<pre>{escape(step.text)}</pre>" if step.text else ""
    status = step.status or "not reached"
    took = f"{step.took_s:.3f} s" if step.status else ""
    name = f"<td class={step.status or 'skipped'}>{status}<td>{escape(step.line)}{more}"
    return f'<tr><td class="time">{took}{name}</tr>'
