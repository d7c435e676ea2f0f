# SPDX-License-Identifier: Apache-2.0
"""Which axioms each explanation method keeps: measured on tiny nets whose weights one can read."""

from assay.axioms.measurement import Explain as Explain
from assay.axioms.measurement import Measured as Measured
from assay.axioms.subjects import Subject as Subject
from assay.axioms.table import AXIOMS as AXIOMS
from assay.axioms.table import Cell as Cell
from assay.axioms.table import Table as Table
from assay.axioms.table import measured as measured
from assay.axioms.table import stored as stored

__all__ = ["AXIOMS", "Cell", "Explain", "Measured", "Subject", "Table", "measured", "stored"]
