# SPDX-License-Identifier: Apache-2.0
"""Computes scores of explanations: faithfulness, stability, randomisation, localisation and complexity, row by row."""

from assay.evaluate.abpc import abpc as abpc
from assay.evaluate.aopc import aopc as aopc
from assay.evaluate.average_sensitivity import average_sensitivity as average_sensitivity
from assay.evaluate.completeness import completeness as completeness
from assay.evaluate.comprehensiveness import comprehensiveness as comprehensiveness
from assay.evaluate.connectedness import connectedness as connectedness
from assay.evaluate.continuity import continuity as continuity
from assay.evaluate.decision_flip import decision_flip as decision_flip
from assay.evaluate.deletion import deletion as deletion
from assay.evaluate.effective_heat_ratio import effective_heat_ratio as effective_heat_ratio
from assay.evaluate.effective_parts import effective_parts as effective_parts
from assay.evaluate.efficient_parameter_randomisation import (
    efficient_parameter_randomisation as efficient_parameter_randomisation,
)
from assay.evaluate.entropy import entropy as entropy
from assay.evaluate.explanation_error import explanation_error as explanation_error
from assay.evaluate.faithfulness_correlation import faithfulness_correlation as faithfulness_correlation
from assay.evaluate.faithfulness_estimate import faithfulness_estimate as faithfulness_estimate
from assay.evaluate.familiarity import familiarity as familiarity
from assay.evaluate.infidelity import infidelity as infidelity
from assay.evaluate.input_invariance import input_invariance as input_invariance
from assay.evaluate.insertion import insertion as insertion
from assay.evaluate.irof import irof as irof
from assay.evaluate.kar import kar as kar
from assay.evaluate.label_randomisation import label_randomisation as label_randomisation
from assay.evaluate.lerf import lerf as lerf
from assay.evaluate.linear_datamodeling_score import linear_datamodeling_score as linear_datamodeling_score
from assay.evaluate.local_lipschitz import local_lipschitz as local_lipschitz
from assay.evaluate.localisation_auc import localisation_auc as localisation_auc
from assay.evaluate.mass_accuracy import mass_accuracy as mass_accuracy
from assay.evaluate.max_sensitivity import max_sensitivity as max_sensitivity
from assay.evaluate.monotonicity import monotonicity as monotonicity
from assay.evaluate.monotonicity_correlation import monotonicity_correlation as monotonicity_correlation
from assay.evaluate.morf import morf as morf
from assay.evaluate.parameter_randomisation import parameter_randomisation as parameter_randomisation
from assay.evaluate.pointing_game import pointing_game as pointing_game
from assay.evaluate.random_logit import random_logit as random_logit
from assay.evaluate.rank_accuracy import rank_accuracy as rank_accuracy
from assay.evaluate.region_perturbation import region_perturbation as region_perturbation
from assay.evaluate.relative_input_stability import relative_input_stability as relative_input_stability
from assay.evaluate.relative_output_stability import relative_output_stability as relative_output_stability
from assay.evaluate.relative_representation_stability import (
    relative_representation_stability as relative_representation_stability,
)
from assay.evaluate.road import road as road
from assay.evaluate.roar import roar as roar
from assay.evaluate.runner_up_logit import runner_up_logit as runner_up_logit
from assay.evaluate.saliency_metric import saliency_metric as saliency_metric
from assay.evaluate.selectivity import selectivity as selectivity
from assay.evaluate.sensitivity_n import sensitivity_n as sensitivity_n
from assay.evaluate.simulatability import simulatability as simulatability
from assay.evaluate.simulatability_ranking import simulatability_ranking as simulatability_ranking
from assay.evaluate.smooth_parameter_randomisation import (
    smooth_parameter_randomisation as smooth_parameter_randomisation,
)
from assay.evaluate.sparseness import sparseness as sparseness
from assay.evaluate.spatial_compactness import spatial_compactness as spatial_compactness
from assay.evaluate.study import study as study
from assay.evaluate.sufficiency import sufficiency as sufficiency
from assay.evaluate.top_k_overlap import top_k_overlap as top_k_overlap

__all__ = [
    "abpc",
    "aopc",
    "average_sensitivity",
    "completeness",
    "comprehensiveness",
    "connectedness",
    "continuity",
    "decision_flip",
    "deletion",
    "effective_heat_ratio",
    "effective_parts",
    "efficient_parameter_randomisation",
    "entropy",
    "explanation_error",
    "faithfulness_correlation",
    "faithfulness_estimate",
    "familiarity",
    "infidelity",
    "input_invariance",
    "insertion",
    "irof",
    "kar",
    "label_randomisation",
    "lerf",
    "linear_datamodeling_score",
    "local_lipschitz",
    "localisation_auc",
    "mass_accuracy",
    "max_sensitivity",
    "monotonicity",
    "monotonicity_correlation",
    "morf",
    "parameter_randomisation",
    "pointing_game",
    "random_logit",
    "rank_accuracy",
    "region_perturbation",
    "relative_input_stability",
    "relative_output_stability",
    "relative_representation_stability",
    "road",
    "roar",
    "runner_up_logit",
    "saliency_metric",
    "selectivity",
    "sensitivity_n",
    "smooth_parameter_randomisation",
    "sparseness",
    "spatial_compactness",
    "sufficiency",
    "top_k_overlap",
]
