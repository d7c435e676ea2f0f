"""The Gini index as half the relative mean difference: every pair of parts, one at a time."""

from typing import Any


def gini(values: Any) -> float:
    """Σ_i Σ_j ||φ_i| − |φ_j|| / (2 n Σ|φ|)."""
    sizes = [abs(float(v)) for v in values]
    gaps = sum(abs(a - b) for a in sizes for b in sizes)
    return gaps / (2 * len(sizes) * sum(sizes))
