# SPDX-License-Identifier: Apache-2.0
"""The questionnaire as one HTML file: no server, nothing loaded, and all content is text."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from typing import Any

import numpy as np

from assay.basics.types import Floats
from assay.nouns.studies.questionnaire import PHASES, Questionnaire, StudyRow
from assay.report.audit.page import UNSEEN
from assay.report.drawing.colours import DIVERGING, colour_levels
from assay.report.drawing.png import data_uri, encode_png, palette

COLOURS = 64


def render_questionnaire(questionnaire: Questionnaire) -> str:
    """The page. It holds the answers neither of the tests nor of the model at them.

    The contents are JSON in which no character can end the element; the script writes them as text only. The policy of
    the page allows its own script, by its hash, its own style, and images inside it: nothing else is loaded or sent.
    """
    script, style = (_own_file(f"questionnaire.{kind}") for kind in ("js", "css"))
    policy = (
        f"default-src 'none'; script-src 'sha256-{_hash(script)}'; style-src 'sha256-{_hash(style)}'; "
        f"img-src data:; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(_shown(questionnaire.title))}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '<main id="main"><noscript>This questionnaire needs JavaScript.</noscript></main>\n'
        f'<script type="application/json" id="data">{_safe_json(_shown(_data(questionnaire)))}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _own_file(name: str) -> str:
    return files("assay.report.study").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _safe_json(found: Any) -> str:
    """JSON that may stand in a script element: no <, > or &, and only ASCII."""
    text = json.dumps(found, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _shown(found: Any) -> Any:
    """The same with texts whose invisible characters, and halves of pairs that are no character, are replaced."""
    if isinstance(found, str):
        return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace").translate(UNSEEN)
    if isinstance(found, dict):
        return {_shown(name): _shown(one) for name, one in found.items()}
    return [_shown(one) for one in found] if isinstance(found, list | tuple) else found


def _data(study: Questionnaire) -> dict[str, Any]:
    is_changed = study.kind == "counterfactual"
    return {
        "study": study.fingerprint,
        "title": study.title,
        "consent": study.consent,
        "kind": study.kind,
        "classes": study.classes,
        "names": study.names,
        "arms": study.arms,
        "seed": study.seed,
        "checks": {phase: study.check_answer(phase) for phase in PHASES},
        "teaching": [_row(row, explained=True) for row in study.teaching],
        "blocks": [[_row(row, explained=is_changed) for row in block] for block in study.blocks],
    }


def _row(row: StudyRow, *, explained: bool) -> dict[str, Any]:
    """A row as the page needs it; without the model's class and explanations where people guess it."""
    found: dict[str, Any] = {"key": row.key, "cells": row.cells, "values": {}, "maps": {}}
    if row.pixels is not None:
        found["image"] = _picture(np.asarray(row.pixels, dtype=np.float64))
    if explained:
        found["output"] = row.output
        found["explained"] = row.explained
        found["changed"] = row.changed
        maps = row.pixels is not None
        found["maps" if maps else "values"] = {
            arm: _map(np.asarray(one, dtype=np.float64)) if maps else one for arm, one in row.values.items()
        }
    return found


def _picture(pixels: Floats) -> str:
    """An image (height, width, 1 or 3) of numbers 0 … 1 as a data URI."""
    colours = np.broadcast_to(np.round(pixels * 255), (*pixels.shape[:2], 3)).astype(np.uint8)
    return data_uri(encode_png(*palette(colours, COLOURS)))


def _map(values: Floats) -> str:
    most = float(np.abs(values).max()) or 1.0
    return data_uri(encode_png(colour_levels(values, -most, most), DIVERGING))
