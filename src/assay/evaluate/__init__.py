# SPDX-License-Identifier: Apache-2.0
"""Scores: functions of an explanation and a case that judge the explanation."""

from assay.evaluate.completeness import completeness as completeness
from assay.evaluate.comprehensiveness import comprehensiveness as comprehensiveness
from assay.evaluate.deletion import deletion as deletion
from assay.evaluate.faithfulness_correlation import faithfulness_correlation as faithfulness_correlation
from assay.evaluate.infidelity import infidelity as infidelity
from assay.evaluate.insertion import insertion as insertion
from assay.evaluate.max_sensitivity import max_sensitivity as max_sensitivity
from assay.evaluate.parameter_randomisation import parameter_randomisation as parameter_randomisation
from assay.evaluate.sparseness import sparseness as sparseness
from assay.evaluate.sufficiency import sufficiency as sufficiency

__all__ = [
    "completeness",
    "comprehensiveness",
    "deletion",
    "faithfulness_correlation",
    "infidelity",
    "insertion",
    "max_sensitivity",
    "parameter_randomisation",
    "sparseness",
    "sufficiency",
]
