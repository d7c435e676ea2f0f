# SPDX-License-Identifier: Apache-2.0
"""What the numbers of the exploration of data mean."""

MEANING = {
    "DAT301": "Share of held-out rows with a near-copy among the training rows: one much closer than the density of "
    "the data around it explains (for texts, that shares 80 % of the word sequences). 0 for a clean split. On such "
    "rows a test measures memorisation. Copies that differ much, such as a turned picture, are not found.",
    "DAT302": "Share of the training rows that are a copy of an earlier one and have another label: 0 where labels "
    "follow from the features. No model can be right on both. In tables of few values, rows coincide by chance, and so "
    "do their labels.",
    "DAT303": "Agreement of the labels of rows that follow each other by this column, beyond chance: 0 for random "
    "labels, 1 where rows of one class follow each other. A model that reads the column learns their order.",
    "DAT304": "Agreement of the labels of training rows that follow each other, beyond chance: 0 for shuffled rows, 1 "
    "for sorted ones. Sorted rows are no fault in themselves: they are one where rows are split by position.",
    "DAT305": "How much more frequent a class is where the value of this column is missing than elsewhere, in rows "
    "that did not choose column and class. That a value is missing can be honest information, or known only after the "
    "label.",
    "DAT306": "Balanced accuracy of a rule of this one column inside the group minus that of one outside: large where "
    "only this group can be predicted from it. Groups with little data give wide intervals.",
    "DAT307": "Largest difference between two groups in the share of a class among training rows. A model can predict "
    "the class from the group.",
}
"""By the code of the check."""
