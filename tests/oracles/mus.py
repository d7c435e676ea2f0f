# SPDX-License-Identifier: Apache-2.0
"""Multiplicative smoothing (Xue, Alur, Wong 2023) word for word: fractions, one mask at a time, every superset."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product

Mask = tuple[int, ...]


def quantised_noise(offsets: Sequence[int], q: int, smoothing: Fraction) -> list[Mask]:
    """s_i = 1[t_i ≤ λ] with t_i = (v_i/q + s) mod 1 and s over {1/q, …, q/q} − 1/(2q)."""
    masks = []
    for j in range(1, q + 1):
        base = Fraction(j, q) - Fraction(1, 2 * q)
        masks.append(tuple(int((Fraction(v, q) + base) % 1 <= smoothing) for v in offsets))
    return masks


def smooth(h: Callable[[Mask], Sequence[Fraction]], alpha: Mask, noise: list[Mask]) -> list[Fraction]:
    """g(α) = E_s h(α ∘ s), class by class."""
    answers = [h(tuple(a * s for a, s in zip(alpha, mask))) for mask in noise]
    return [Fraction(sum(answer[c] for answer in answers), len(noise)) for c in range(len(answers[0]))]


def radius(scores: list[Fraction], smoothing: Fraction) -> int:
    """The largest whole r with g_A − g_B > 2 λ r, found by counting up; 0 when there is none."""
    first, second = sorted(scores, reverse=True)[:2]
    r = 0
    while first - second > 2 * smoothing * (r + 1):
        r += 1
    return r


def winners(scores: list[Fraction]) -> set[int]:
    """Every class of the highest score."""
    return {c for c, score in enumerate(scores) if score == max(scores)}


def supersets(alpha: Mask) -> list[Mask]:
    """Every α′ ⪰ α."""
    return [m for m in product((0, 1), repeat=len(alpha)) if all(b >= a for a, b in zip(alpha, m))]
