# SPDX-License-Identifier: Apache-2.0
"""What the checks of disparity mean and advise, by code."""

from __future__ import annotations

RATE = {
    "FAI101": "selection rate",
    "FAI102": "true-positive rate",
    "FAI103": "false-positive rate",
    "FAI104": "selection rate",
    "FAI106": "positive predictive value",
    "FAI108": "mean residual",
    "FAI110": "selection rate",
}
"""The rate that a check compares between groups."""

MEANING = {
    "FAI101": "Demographic parity difference: largest difference of selection rates between two groups, 0 … 1, 0 is "
    "equal. The selection rate is the share of rows with the favourable decision. If the groups differ in the "
    "criteria of the decision, a fair model has a gap too.",
    "FAI102": "Equal opportunity difference: largest difference of true-positive rates between two groups, "
    "0 … 1, 0 is equal. The true-positive rate is the share of favourable decisions among rows whose true label is "
    "favourable. Biased labels can hide a gap or create one.",
    "FAI103": "Largest difference of false-positive rates between two groups, 0 … 1, 0 is equal. The "
    "false-positive rate is the share of favourable decisions among rows whose true label is not favourable. FAI102 "
    "and FAI103 together test equalised odds.",
    "FAI104": "Adverse impact ratio: lowest selection rate of a group divided by the highest, 0 … 1, 1 is equal. Where "
    "few rows have the favourable decision, groups can differ several times over although the difference of rates "
    "(FAI101) is small. If the groups differ in the criteria of the decision, a fair model has a ratio below 1 too.",
    "FAI105": "Equalised odds difference: the larger of the largest gap in true-positive rates and the largest gap in "
    "false-positive rates between two groups, 0 … 1, 0 is equal. The gap in false-negative rates is that in "
    "true-positive rates. Where the groups' base rates differ, a useful model cannot have equal odds and equal "
    "predictive values (FAI106) at once.",
    "FAI106": "Predictive parity difference: largest difference of positive predictive values between two groups, "
    "0 … 1, 0 is equal. The positive predictive value is the share of rows with a favourable true label among those "
    "decided favourably. With different base rates it differs for the best model too.",
    "FAI107": "Calibration within groups: largest difference between two groups of (share of favourable labels − mean "
    "probability) among rows with about the same probability, 0 … 1. At 0 the same probability means the same in "
    "every group. An error of the probabilities that all groups share is PER104.",
    "FAI108": "Largest difference between two groups of the mean residual (label − prediction) in units of the labels' "
    "standard deviation; 0 is equal. Above 0 one group gets predictions that are too low compared with another. Groups "
    "that differ only in the spread of the residuals are not found.",
    "FAI110": "Shapley value of the column in the gap: mean quantitative input influence on the decision in one group "
    "minus that in the other. The values of all columns and the baseline difference add up to the gap. "
    "Filling a column from the background creates rows that may not exist, and correlated columns share their "
    "influence; the values describe what the model uses, not causes.",
    "FAI501": "Probability that a favourable decision is farther away, in cost, for a denied row of the group than for "
    "one of the other groups, ties counted half: 0.5 is none, 1 certain. A way is the cheapest change of the columns "
    "that may change; rows without any come last. Of models that are neither trees nor linear the ways are searched, "
    "and may cost too much. It says nothing about how many rows of a group are denied (FAI101), and depends on what "
    "may change and on what a change costs.",
}
ADVICE = {
    "pass": "No action needed on this evidence; repeat when the population changes.",
    "fail": "See FAI110 for the columns that contribute most; repair.refit without one measures the cost of removal.",
    "undecided": "More rows of the smaller group would decide; the interval contains the threshold.",
}
DRIVERS_ADVICE = (
    "Check whether the most important columns may be used for such a decision at all. repair.refit without one of them "
    "(it needs an assay.Recipe) measures the change of gap and accuracy; correlated columns can replace it."
)
