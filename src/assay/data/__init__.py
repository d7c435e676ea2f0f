# SPDX-License-Identifier: Apache-2.0
"""Data that ships with the package: German credit (UCI, CC BY 4.0) and the measured table of axioms."""

from importlib.resources import files

COLUMNS = (
    "status", "duration", "credit_history", "purpose", "credit_amount", "savings", "employment", "installment_rate",
    "status_sex", "other_debtors", "residence_since", "property", "age", "installment_plans", "housing",
    "existing_credits", "job", "people_liable", "telephone", "foreign_worker", "credit",
)  # fmt: skip

MEANINGS = {
    "status": {"A11": "overdrawn", "A12": "0 to 200 DM", "A13": "200 DM or more", "A14": "no account"},
    "credit_history": {
        "A30": "no credits taken",
        "A31": "all paid back here",
        "A32": "paid back so far",
        "A33": "delays in the past",
        "A34": "critical account",
    },
    "purpose": {
        "A40": "new car",
        "A41": "used car",
        "A42": "furniture",
        "A43": "radio or TV",
        "A44": "appliances",
        "A45": "repairs",
        "A46": "education",
        "A48": "retraining",
        "A49": "business",
        "A410": "other",
    },
    "savings": {
        "A61": "below 100 DM",
        "A62": "100 to 500 DM",
        "A63": "500 to 1000 DM",
        "A64": "1000 DM or more",
        "A65": "none or unknown",
    },
    "employment": {
        "A71": "unemployed",
        "A72": "below 1 year",
        "A73": "1 to 4 years",
        "A74": "4 to 7 years",
        "A75": "7 years or more",
    },
    "status_sex": {
        "A91": "male, divorced",
        "A92": "female, not single",
        "A93": "male, single",
        "A94": "male, married",
        "A95": "female, single",
    },
    "other_debtors": {"A101": "none", "A102": "co-applicant", "A103": "guarantor"},
    "property": {
        "A121": "real estate",
        "A122": "building society",
        "A123": "car or other",
        "A124": "none known",
    },
    "installment_plans": {"A141": "bank", "A142": "stores", "A143": "none"},
    "housing": {"A151": "rent", "A152": "own", "A153": "free"},
    "job": {
        "A171": "unskilled, non-resident",
        "A172": "unskilled, resident",
        "A173": "skilled",
        "A174": "management",
    },
    "telephone": {"A191": "none", "A192": "yes"},
    "foreign_worker": {"A201": "yes", "A202": "no"},
    "credit": {"1": "good", "2": "bad"},
}
"""Meaning of each code according to the file's documentation; its coding of sex is known to be unreliable."""


def german_credit() -> dict[str, list[str] | list[int]]:
    """Load the 1,000 applications as columns with codes replaced by their meaning; the last column is the label."""
    lines = (files("assay.data") / "german.data").read_text(encoding="utf-8").split("\n")
    cells = [line.split() for line in lines if line.strip()]
    table: dict[str, list[str] | list[int]] = {}
    for position, name in enumerate(COLUMNS):
        column = [row[position] for row in cells]
        table[name] = [MEANINGS[name][cell] for cell in column] if name in MEANINGS else [int(cell) for cell in column]
    return table
