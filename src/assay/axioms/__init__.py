# SPDX-License-Identifier: Apache-2.0
"""Axioms of explanation methods, tested on small networks with readable weights, and the table of results."""

from assay.axioms.measurement import Explain as Explain
from assay.axioms.measurement import Measurement as Measurement
from assay.axioms.subjects import Subject as Subject
from assay.axioms.table import AXIOMS as AXIOMS
from assay.axioms.table import AxiomCell as AxiomCell
from assay.axioms.table import AxiomTable as AxiomTable
from assay.axioms.table import load_table as load_table
from assay.axioms.table import measure_table as measure_table

__all__ = ["AXIOMS", "AxiomCell", "AxiomTable", "Explain", "Measurement", "Subject", "load_table", "measure_table"]
