"""A run as JUnit XML: a feature is a suite, a scenario is a case."""

import re
from typing import Any
from xml.etree import ElementTree

from harness.running.scenario_results import Outcome, outcomes

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(features: list[dict[str, Any]]) -> str:
    root = ElementTree.Element("testsuites")
    for feature in features:
        found = outcomes(feature)
        if not found:
            continue
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=_xml(feature["name"]),
            tests=str(len(found)),
            failures=str(sum(each.status == "failed" for each in found)),
            errors=str(sum(each.status not in ("passed", "skipped", "failed") for each in found)),
            skipped=str(sum(each.status == "skipped" for each in found)),
            time=f"{sum(each.took_s for each in found):.3f}",
        )
        for each in found:
            _add(suite, each)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add(suite: ElementTree.Element, outcome: Outcome) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=outcome.file.removesuffix(".feature").replace("/", "."),
        name=_xml(outcome.name),
        file=outcome.file,
        line=str(outcome.line),
        time=f"{outcome.took_s:.3f}",
    )
    if outcome.status == "skipped":
        ElementTree.SubElement(case, "skipped", message=_xml(outcome.reason))
    elif outcome.status != "passed":
        kind = "failure" if outcome.status == "failed" else "error"
        first, _, _ = outcome.reason.partition("\n")
        problem = ElementTree.SubElement(case, kind, message=_xml(first), type=outcome.status)
        problem.text = _xml(outcome.reason)
    steps = "\n".join(
        f"{each.took_s:8.3f} s  {each.status:8} {each.line}" for each in outcome.steps
    )
    ElementTree.SubElement(case, "system-out").text = _xml(steps)


def _xml(text: str) -> str:
    return _NOT_XML.sub("�", text)
