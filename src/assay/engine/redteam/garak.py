# SPDX-License-Identifier: Apache-2.0
"""The report.jsonl of garak (Apache-2.0): attempts written in its layout, and read back with our intervals."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.basics.errors import InputError, Unreadable
from assay.basics.fingerprint import digest
from assay.basics.samples.clustered_rates import cluster_rate
from assay.basics.stats import Basis, Interval
from assay.nouns.redteam.probe_result import Arm, Attempt, ProbeResult

THRESHOLD = 0.5
"""A score of a detector at or above it is a hit; garak's own default."""

JUDGED = 2
"""The status of an attempt that detectors have judged; 1 is sent only, 0 is new."""


@dataclass(frozen=True, eq=False)
class ReportLine:
    """One probe and detector of a garak report: hits and answers of each prompt (prompt,)."""

    probe: str
    detector: str
    hits: tuple[int, ...]
    answers: tuple[int, ...]

    @property
    def rate(self) -> float:
        """Share of answers with a hit, 0 … 1."""
        return cluster_rate(self.hits, self.answers)

    def interval(self, level: float = 0.95) -> Interval:
        """Interval of that rate, clustered by prompt; garak resamples answers as if each were a prompt of its own."""
        return Basis("clusters", {"hits": self.hits, "draws": self.answers}).at(level)


@dataclass(frozen=True, eq=False)
class GarakReport:
    """What a report.jsonl holds: the run's settings, its lines by probe and detector, and attempts that assay wrote."""

    setup: Mapping[str, Any]
    lines: tuple[ReportLine, ...]
    attempts: tuple[Attempt, ...]
    skipped: int

    def __repr__(self) -> str:
        shown = [f"garak report: {len(self.lines)} lines, {self.skipped} entries skipped"]
        for line in self.lines:
            limits = line.interval()
            shown.append(
                f"  {line.probe} {line.detector}: {sum(line.hits)} of {sum(line.answers)} answers to "
                f"{len(line.hits)} prompts, {line.rate:.1%} [{limits.low:.1%}, {limits.high:.1%}]"
            )
        return "\n".join(shown)


def write_report(results: Sequence[ProbeResult], path: str | Path, about: Mapping[str, str]) -> Path:
    """Write all attempts as a garak report.jsonl: settings, one entry for each prompt and arm, and one eval a probe.

    What garak has no field for (variant, canary, cluster, arm) is in ``notes``. The control of a probe is the probe
    ``NAME.control``.
    """
    lines: list[dict[str, Any]] = [
        {"entry_type": "start_run setup", "assay": True, **{f"assay.{name}": text for name, text in about.items()}}
    ]
    for result in results:
        entries = [_entry(result, group, place) for place, group in enumerate(_groups(result))]
        lines += entries + [_eval(result, arm) for arm in ("attack", "control")]
    lines.append({"entry_type": "completion", "assay": True})
    place = Path(path)
    place.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return place


def read_report(path: str | Path, threshold: float = THRESHOLD) -> GarakReport:
    """Read a report.jsonl of garak or of assay; lines that are no entries are counted, not guessed at.

    Attempts of status 2 count. A detector's score at or above ``threshold`` is a hit; a score of ``None`` is left out.
    """
    place = Path(path)
    if not place.is_file():
        raise InputError(f"there is no file {place}.")
    setup: dict[str, Any] = {}
    counts: dict[tuple[str, str], list[tuple[int, int]]] = {}
    attempts: list[Attempt] = []
    skipped = known = 0
    for entry in _entries(place):
        kind = str(entry.get("entry_type", ""))
        known += bool(kind)
        if kind.startswith("start_run"):
            setup |= {name: value for name, value in entry.items() if name != "entry_type"}
        elif kind == "attempt" and entry.get("status") == JUDGED and isinstance(entry.get("detector_results"), Mapping):
            _count(counts, entry, threshold)
            attempts += _attempts(entry, threshold)
        elif kind not in ("eval", "init", "completion", "probe_summary", "digest", "config", "plugin_cache", "attempt"):
            skipped += 1
    if not known:
        raise Unreadable(f"{place} is no report.jsonl of garak: no line has an entry_type.")
    lines = tuple(
        ReportLine(probe, detector, tuple(hit for hit, _ in found), tuple(tried for _, tried in found))
        for (probe, detector), found in counts.items()
    )
    return GarakReport(setup, lines, tuple(attempts), skipped)


def _entries(place: Path) -> Iterable[Mapping[str, Any]]:
    with place.open(encoding="utf-8") as stream:
        try:
            for line in stream:
                found = json.loads(line) if line.strip() else {}
                yield found if isinstance(found, dict) else {}
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"{place} is no report.jsonl: {type(error).__name__}.") from error


def _count(counts: dict[tuple[str, str], list[tuple[int, int]]], entry: Mapping[str, Any], threshold: float) -> None:
    """Hits and answers of one prompt, by probe and detector."""
    for detector, scores in entry["detector_results"].items():
        known = [float(one) for one in scores or () if one is not None]
        key = str(entry.get("probe_classname", "")), str(detector)
        counts.setdefault(key, []).append((sum(one >= threshold for one in known), len(known)))


def _groups(result: ProbeResult) -> list[list[Attempt]]:
    """Attempts that answer one prompt in one arm."""
    found: dict[tuple[str, str], list[Attempt]] = {}
    for one in result.attempts:
        found.setdefault((one.prompt, one.arm), []).append(one)
    return list(found.values())


def _entry(result: ProbeResult, group: Sequence[Attempt], place: int) -> dict[str, Any]:
    first = group[0]
    turns = [
        {"role": "user" if role == "text" else role, "content": {"text": text, "lang": "en"}}
        for role, text in first.messages
    ]
    return {
        "entry_type": "attempt",
        "uuid": str(uuid.UUID(digest(result.probe.fingerprint, first.prompt, first.arm))),
        "seq": place,
        "status": JUDGED,
        "probe_classname": _name(result.probe.name, first.arm),
        "probe_params": {"version": result.probe.version, "fingerprint": result.probe.fingerprint},
        "targets": [],
        "prompt": {"turns": turns, "notes": {}},
        "outputs": [{"text": one.output, "lang": "en"} for one in group],
        "detector_results": {
            f"assay.{result.probe.detector}": [None if one.hit is None else float(one.hit) for one in group]
        },
        "notes": {
            "assay": {
                "probe": first.probe, "prompt": first.prompt, "variant": first.variant, "cluster": first.cluster,
                "arm": first.arm, "canary": first.canary, "roles": [role for role, _ in first.messages],
                "draws": [one.draw for one in group],
            }
        },
        "goal": result.probe.purpose,
        "conversations": [
            {"turns": [*turns, {"role": "assistant", "content": {"text": one.output, "lang": "en"}}], "notes": {}}
            for one in group
        ],
        "reverse_translation_outputs": [],
        "intent": None,
        "previous_attempt_id": None,
    }  # fmt: skip


def _eval(result: ProbeResult, arm: Arm) -> dict[str, Any]:
    own, tried, control, control_tried = (int(one.sum()) for one in result.counts())
    hits, answers = (own, tried) if arm == "attack" else (control, control_tried)
    limits = result.interval(arm)
    return {
        "entry_type": "eval",
        "probe": _name(result.probe.name, arm),
        "detector": f"assay.{result.probe.detector}",
        "passed": answers - hits,
        "fails": hits,
        "nones": sum(one.hit is None for one in result.attempts if one.arm == arm),
        "total_evaluated": answers,
        "total_processed": sum(one.arm == arm for one in result.attempts),
        "confidence": limits.level,
        "confidence_method": "clustered by prompt",
        "confidence_lower": limits.low,
        "confidence_upper": limits.high,
    }


def _name(probe: str, arm: Arm) -> str:
    return f"assay.{probe}" if arm == "attack" else f"assay.{probe}.control"


def _attempts(entry: Mapping[str, Any], threshold: float) -> list[Attempt]:
    """The attempts of an entry that assay wrote; none of others."""
    try:
        notes = entry["notes"]["assay"]
        turns = [str(turn["content"]["text"]) for turn in entry["prompt"]["turns"]]
        (scores,) = entry["detector_results"].values()
        messages = tuple(zip(map(str, notes["roles"]), turns))
        return [
            Attempt(
                notes["probe"],
                notes["prompt"],
                notes["variant"],
                notes["cluster"],
                notes["arm"],
                draw,
                messages,
                notes["canary"],
                output["text"],
                None if score is None else score >= threshold,
            )
            for draw, output, score in zip(notes["draws"], entry["outputs"], scores)
        ]
    except (KeyError, TypeError, ValueError):
        return []  # fmt: skip
