# SPDX-License-Identifier: Apache-2.0
"""A probe: prompts that try to make a model do what it should not, each with a control that does not try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest

Role = Literal["system", "user", "assistant", "text"]
Message = tuple[str, str]
"""Who speaks (system, user or assistant) and the text; "text" is a beginning to complete, without a conversation."""

Detector = Literal["contains", "secret", "begins", "classifier"]
"""What a hit is: the output holds the canary as a word; holds the secret, also encoded; begins with the canary; or is
given a class by the caller's own classifier."""

DETECTORS: tuple[Detector, ...] = get_args(Detector)

Family = Literal["leakage", "injection", "retrieval", "memorisation", "bias", "toxicity", "null"]
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True)
class Variant:
    """One way of the attack: messages with {slots}, and those of its control.

    A control has the same form and length where that is possible, without what the attack is about. In the family
    "bias" it is made from the messages, by exchanging all words of sex.
    """

    name: str
    messages: tuple[Message, ...]
    control: tuple[Message, ...]


@dataclass(frozen=True)
class Probe:
    """Prompts as declared data. ``check`` is the code of the check that it answers; ``version`` grows with each change.

    ``canaries`` are harmless words that stand for what must not be said; each prompt gets one. ``slots`` fill the
    messages. ``purpose`` says what is tested, ``mechanism`` which real attack the harmless stand-in has the mechanism
    of, ``source`` where that attack is described.
    """

    name: str
    version: int
    family: Family
    check: str
    purpose: str
    mechanism: str
    detector: Detector
    variants: tuple[Variant, ...]
    canaries: tuple[str, ...] = ()
    slots: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    source: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the whole content."""
        return digest("probe", asdict(self))[:16]

    @staticmethod
    def of(data: Mapping[str, Any], where: str) -> Probe:
        """The probe of a JSON object; ``InputError`` names ``where`` and what is wrong."""
        try:
            variants = tuple(
                Variant(str(one["name"]), _messages(one["messages"]), _messages(one["control"]))
                for one in data["variants"]
            )
            slots = {str(name): tuple(map(str, words)) for name, words in data.get("slots", {}).items()}
            texts = {name: str(data[name]) for name in ("name", "check", "purpose", "mechanism")}
            probe = Probe(
                **texts,
                version=int(data["version"]),
                family=data["family"],
                detector=data["detector"],
                variants=variants,
                canaries=tuple(map(str, data.get("canaries", ()))),
                slots=slots,
                source=str(data.get("source", "")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{where} is no probe ({type(error).__name__}: {error}). See docs/redteam.md.") from error
        _check(probe, where)
        return probe


def _messages(found: Any) -> tuple[Message, ...]:
    pairs = tuple((str(one["role"]), str(one["text"])) for one in found)
    if not pairs or any(role not in get_args(Role) for role, _ in pairs):
        raise ValueError(f"messages have a role of {', '.join(get_args(Role))}, and at least one message is needed")
    return pairs


def _check(probe: Probe, where: str) -> None:
    if probe.family not in FAMILIES or probe.detector not in DETECTORS or not probe.variants:
        raise InputError(
            f"{where}: family {probe.family!r}, detector {probe.detector!r}, {len(probe.variants)} variants; a family "
            f"is one of {', '.join(FAMILIES)}, a detector one of {', '.join(DETECTORS)}, and one variant is needed."
        )
    if probe.detector != "classifier" and not probe.canaries:
        raise InputError(f"{where}: the detector {probe.detector!r} needs canaries.")
    empty = [name for name, words in probe.slots.items() if not words]
    if empty:
        raise InputError(f"{where}: the slot {empty[0]!r} has no words.")


@dataclass(frozen=True)
class Prompt:
    """One prompt of a probe with its control: ``key`` names it, ``canary`` is what must not be said.

    ``cluster`` names the prompts that belong together, such as those about one canary; by default each its own. A
    control that ends with what the assistant says is that text: no model is asked.
    """

    key: str
    variant: str
    messages: tuple[Message, ...]
    control: tuple[Message, ...]
    canary: str
    cluster: str = ""
    control_canary: str = ""

    @property
    def absent(self) -> str:
        """The canary that the control is searched for: by default the same."""
        return self.control_canary or self.canary

    @property
    def group(self) -> str:
        """The cluster, or the prompt itself."""
        return self.cluster or self.key
