# SPDX-License-Identifier: Apache-2.0
"""Models that can be read, found by searches that prove how good they are."""

from assay.interpretable.certificate import OptimalityCertificate as OptimalityCertificate
from assay.interpretable.logistic_model import LogisticModel as LogisticModel
from assay.interpretable.optimal_tree import OptimalTree as OptimalTree
from assay.interpretable.prototype_net import PrototypeNet as PrototypeNet
from assay.interpretable.risk_score import RiskScore as RiskScore
from assay.interpretable.risk_score import ScoreRisk as ScoreRisk
from assay.interpretable.rule_list import Rule as Rule
from assay.interpretable.rule_list import RuleList as RuleList
