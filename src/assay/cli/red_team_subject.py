# SPDX-License-Identifier: Apache-2.0
"""What ``assay redteam`` tests: an endpoint, a language model in a folder, code, or a file of a classifier."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from assay.basics.errors import InputError


@Parameter(name="*")
@dataclass(frozen=True)
class EndpointFlags:
    """How a model behind an address is asked.

    Parameters
    ----------
    named
        The name of the model at the endpoint.
    key_env
        The environment variable that holds the key; the key itself is never an argument.
    allow_host
        A host other than this machine that prompts may be sent to; may be repeated.
    timeout
        Most seconds of one request.
    """

    named: str = ""
    key_env: str = ""
    allow_host: tuple[str, ...] = ()
    timeout: float = 60.0


NO_ENDPOINT_FLAGS = EndpointFlags()


def open_subject(place: str, flags: EndpointFlags, output: str, classes: Sequence[str]) -> Any:
    """A generator, or a ``Model``: of an address, a folder, FILE.py:FUNCTION (which is run), or a model file."""
    if "://" in place:
        from assay.engine.redteam.endpoint import Endpoint

        if not flags.named:
            raise InputError(f"{place.partition('?')[0]}: say which model at this address: --named MODEL.")
        return Endpoint(place, flags.named, key_env=flags.key_env, allow_hosts=flags.allow_host, timeout=flags.timeout)
    if flags != NO_ENDPOINT_FLAGS:
        raise InputError("--named, --key-env, --allow-host and --timeout are for an address, http://…; leave them out.")
    if Path(place).is_dir():
        from assay.engine.redteam.local_model import read_local_model

        return read_local_model(place)
    return _of_code_or_file(place, output, classes)


def _of_code_or_file(place: str, output: str, classes: Sequence[str]) -> Any:
    from assay.engine.redteam.generators import is_generator
    from assay.model.adapters.wrap import wrap
    from assay.model.files.load import load_model
    from assay.model.files.user_code import call_user_function, is_code

    if not is_code(place):
        return load_model(place, classes=classes or None, output=output or None)
    found = call_user_function(place, "the model or generator")
    return found if is_generator(found) else wrap(found, classes=classes or None, output=output or None)


def read_canaries(path: Path | None) -> list[tuple[str, str]]:
    """Pairs (prefix, secret) of a .jsonl or .csv file with these two columns; messages show no secret."""
    if path is None:
        return []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"--canaries {path} is no text in UTF-8 ({error.reason}).") from error
    lines = _json_lines(text, path) if path.suffix == ".jsonl" else csv.DictReader(text.splitlines())
    found = [_pair(line, path, number) for number, line in enumerate(lines, 1)]
    if not found:
        raise InputError(f"--canaries {path} is empty; needed are lines with prefix and secret.")
    return found


def _json_lines(text: str, path: Path) -> Iterable[Any]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"--canaries {path}: line {number} is no JSON.") from error


def _pair(line: Any, path: Path, number: int) -> tuple[str, str]:
    known = isinstance(line, Mapping) and all(isinstance(line.get(name), str) for name in ("prefix", "secret"))
    if not known or not line["secret"]:
        raise InputError(f"--canaries {path}: canary {number} lacks the text prefix or secret.")
    return line["prefix"], line["secret"]
