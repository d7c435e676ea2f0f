# SPDX-License-Identifier: Apache-2.0
"""An audit as JUnit XML, which every build server reads."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree

from assay.nouns.records.record import Record
from assay.nouns.results.result import Finding
from assay.report.audit.waivers import acceptance
from assay.report.drawing.formatting import VERDICTS, counted, figures_of

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

PASSING = ("pass", "informative")


def junit(record: Record) -> str:
    """One test case a finding: failures fail, errors are errors; accepted, undecided and left out ones are skipped."""
    cases = ElementTree.Element("testsuite", name=_allowed(record.title or "audit"))
    when = re.match(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d)", record.times.get("when", ""), re.ASCII)
    if when:
        cases.set("timestamp", f"{when[1]}T{when[2]}:00")
    told: Counter[str] = Counter(tests=len(record.findings), failures=0, errors=0, skipped=0)
    met: Counter[str] = Counter()
    for finding in record.findings:
        name = f"{finding.code} {finding.subject}"
        met[name] += 1
        again = f" ({met[name]})" if met[name] > 1 else ""
        case = ElementTree.SubElement(
            cases, "testcase", classname=_allowed(f"assay.{finding.code[:3]}"), name=_allowed(name + again), time="0"
        )
        kind, why = _outcome(record, finding)
        if kind:
            told[{"failure": "failures", "error": "errors", "skipped": "skipped"}[kind]] += 1
            child = ElementTree.SubElement(case, kind, message=_allowed(why))
            if kind != "skipped":
                child.set("type", _allowed(finding.code))
            child.text = _allowed(_details(finding))
    for name, count in told.items():
        cases.set(name, str(count))
    suites = ElementTree.Element("testsuites", {name: str(count) for name, count in told.items()})
    suites.append(cases)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _outcome(record: Record, finding: Finding) -> tuple[str, str]:
    """The child of a test case and its message; two empty texts where it passed."""
    held = acceptance(record, finding)
    if held is not None and held.state == "accepted":
        return "skipped", f"{held.told} – {finding.claim}"
    if finding.verdict in PASSING:
        return "", ""
    if finding.verdict in ("fail", "error"):
        return "failure" if finding.verdict == "fail" else "error", finding.claim + (f" – {held.told}" if held else "")
    more = f" – about {counted(finding.more, 'more row')} would decide it" if finding.more is not None else ""
    return "skipped", f"{VERDICTS[finding.verdict].one}: {finding.claim}{more}"


def _details(finding: Finding) -> str:
    figures = " ".join(filter(None, figures_of(finding))) if finding.interval is not None else ""
    return "\n".join(filter(None, (finding.claim, figures, finding.meaning, finding.advice)))


def _allowed(text: str) -> str:
    """The text without the characters that XML has no way to write."""
    return _FORBIDDEN.sub("\ufffd", text)
