# SPDX-License-Identifier: Apache-2.0
"""What each check code means. Codes are never used again for something else."""

from __future__ import annotations

from dataclasses import dataclass

FAMILIES = {
    "TRU": "whether an explanation may be used",
    "EXP": "completeness and faithfulness of explanations",
    "SAN": "sanity of explanations",
    "STA": "stability of explanations",
    "SCO": "the scores that verdicts rest on",
    "ATK": "attacks",
    "PRV": "privacy",
    "FAI": "fairness",
    "SHC": "shortcuts",
    "SHF": "explanations under a shift of the data",
    "DAT": "data",
    "RUN": "the audit itself",
}
"""The three letters that begin a code."""


@dataclass(frozen=True)
class Check:
    """A code, what it asks, what to do when it fails, and the method whose page says how it is measured."""

    code: str
    asks: str
    mend: str
    method: str

    @property
    def family(self) -> str:
        """What the three letters stand for."""
        return FAMILIES[self.code[:3]]


_FAITHFUL = "Do not act on this explanation; take one that passed, or raise its budget."

CHECKS = (
    Check(
        "TRU001",
        "May this explanation be used? It follows from its EXP, SAN, STA and ATK checks.",
        "Take an explanation whose TRU001 passed.",
        "diagnose.explanation_trust",
    ),
    Check(
        "EXP101",
        "Do the values add up to the rise of the target they claim to share out?",
        "Raise the steps or the budget, or take an exact method.",
        "evaluate.completeness",
    ),
    Check(
        "EXP201",
        "How far up from random order to the yardstick does the explanation stand when leading parts are taken away?",
        _FAITHFUL,
        "evaluate.deletion",
    ),
    Check(
        "EXP202",
        "How far up from random order to the yardstick does the explanation stand when leading parts are put back?",
        _FAITHFUL,
        "evaluate.insertion",
    ),
    Check(
        "EXP203",
        "Do the values go with what taking parts away does to the target?",
        _FAITHFUL,
        "evaluate.faithfulness_correlation",
    ),
    Check(
        "SAN102",
        "Does the explanation, signs and all, change when the model's weights are drawn afresh?",
        "It shows the input rather than the model: take another method.",
        "evaluate.parameter_randomisation",
    ),
    Check(
        "SAN104",
        "Do its magnitudes alone change when the model's weights are drawn afresh?",
        "Read its signs, too: where it is large tells more of the input than of the model.",
        "evaluate.parameter_randomisation",
    ),
    Check(
        "SAN103",
        "Does the explanation change when it is asked about the runner-up class?",
        "The same picture speaks for both classes: ask for their difference (target margin).",
        "evaluate.runner_up_logit",
    ),
    Check(
        "STA301",
        "Does the explanation stay when the input moves a little?",
        "Average over noise (smooth_grad), or smooth the model (repair smoothing).",
        "evaluate.max_sensitivity",
    ),
    Check(
        "ATK401",
        "Can a small move of the input change what leads the explanation, the prediction kept?",
        "Do not show it where inputs can be chosen by those who gain from it; smooth the model.",
        "attack.top_k",
    ),
    Check(
        "SCO101",
        "Does the score rank a good explanation above a shuffled one on this model?",
        "The score is left out of the verdicts; score more rows, or give it more draws or steps.",
        "diagnose.score_reliability",
    ),
    Check(
        "SCO102",
        "Does the score keep still under noise that is too small to matter?",
        "The score is left out of the verdicts; give it more draws.",
        "diagnose.score_reliability",
    ),
    Check(
        "SCO103",
        "Does the order of the explanations hold under other settings of the score?",
        "It informs, and never fails: say under which setting a ranking was made.",
        "",
    ),
    Check(
        "PRV101",
        "How much better than chance does the loss tell training rows from others?",
        "Regularise more strongly (repair refit with a strength), or train with privacy.",
        "diagnose.membership",
    ),
    Check(
        "PRV102",
        "How many training rows are found while hardly any other is accused?",
        "Regularise more strongly (repair refit with a strength), or train with privacy.",
        "diagnose.membership",
    ),
    Check(
        "PRV103",
        "How much better is the model on its training rows than on others?",
        "Regularise, stop earlier, or gather more rows.",
        "diagnose.membership",
    ),
    Check(
        "FAI101",
        "How far apart are the groups' rates of favourable decisions?",
        "Look at FAI110 for the columns that drive it; refit without them and audit again.",
        "diagnose.disparity",
    ),
    Check(
        "FAI102",
        "How far apart are the groups' true-positive rates?",
        "Look at FAI110 for the columns that drive it; refit without them and audit again.",
        "diagnose.disparity",
    ),
    Check(
        "FAI103",
        "How far apart are the groups' false-positive rates?",
        "Look at FAI110 for the columns that drive it; refit without them and audit again.",
        "diagnose.disparity",
    ),
    Check("FAI110", "Which columns drive the gap of FAI101?", "It informs, and never fails.", "diagnose.disparity"),
    Check(
        "SHC201",
        "Does the model lean on a column that harms it on rows it has not seen?",
        "Refit without the column (repair refit), and audit again.",
        "diagnose.shortcut",
    ),
    Check(
        "SHC202",
        "How often does a suspect column alone sway the decision?",
        "Refit without the column (repair refit), and audit again.",
        "diagnose.shortcut",
    ),
    Check(
        "SHF101",
        "Do leading parts and signs change more under the shift than by training again?",
        "Regularise more strongly, or fine-tune by a smaller step; assay.shift_study shows what helps.",
        "diagnose.explanation_shift",
    ),
    Check(
        "SHF102",
        "Do explanations turn further under the shift than by training again?",
        "Regularise more strongly, or fine-tune by a smaller step; assay.shift_study shows what helps.",
        "diagnose.explanation_shift",
    ),
    Check(
        "SHF103",
        "How far do gradients move with the weights?",
        "It informs, and never fails.",
        "diagnose.explanation_shift",
    ),
    Check(
        "SHF104",
        "Do the models before and after the shift know the same?",
        "It informs, and never fails.",
        "diagnose.explanation_shift",
    ),
    Check(
        "DAT101",
        "Do rows of the test data also occur in the training data?",
        "Split anew, so that no row is on both sides.",
        "diagnose.data",
    ),
    Check(
        "DAT102",
        "Does one column alone give the label away?",
        "Find out whether the column is known when the decision is made; leave it out if not.",
        "diagnose.data",
    ),
    Check(
        "DAT103",
        "Can test rows be told from training rows?",
        "The two were gathered differently: say which population the model is for.",
        "diagnose.data",
    ),
    Check("DAT104", "How are the classes balanced?", "It informs, and never fails.", "diagnose.data"),
    Check(
        "RUN001",
        "Could every planned step be done?",
        "Mend what the reason names, and run again: finished steps are not repeated.",
        "",
    ),
)
"""Every check, worst questions first within a family."""


def checks(start: str = "") -> tuple[Check, ...]:
    """The checks whose codes begin so."""
    return tuple(check for check in CHECKS if check.code.startswith(start))
