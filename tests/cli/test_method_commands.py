"""explain, evaluate, attack, certify, diagnose, repair."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import assay as package
from assay.nouns.results.result import Explanation

ROWS = "--data plain.csv --target y --rows 3 --background plain.csv"


def test_explain_prints_and_keeps_what_python_gives(assay, project):
    done = assay(f"explain mine.py:build shapley {ROWS} --option budget=64 --save kept.assay")
    assert done.code == 0, done.err
    assert "Explanation shapley" in done.out
    frame = pd.read_csv("train.csv")
    from sklearn.linear_model import LogisticRegression

    model = package.wrap(LogisticRegression().fit(frame[["a", "b"]], frame["y"]))
    other = pd.read_csv("plain.csv")[["a", "b"]]
    mine = package.explain.shapley(package.case(model, other[:3]), budget=64, remove=package.Marginal(other))
    kept = package.load("kept.assay")
    assert isinstance(kept, Explanation)
    np.testing.assert_array_equal(kept.values, mine.values)


def test_explain_as_json(assay):
    told = json.loads(assay(f"explain mine.py:build occlusion {ROWS} --format json").out)
    assert np.shape(told["values"]) == (3, 2)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("budgt=3", "did you mean 'budget'?"),
        ("budget=many", "'many' is not a whole number"),
        ("budget", "write NAME=VALUE"),
        ("remove=nothing", "is not a removal; write constant:0"),
        ("fit=crooked", "there are auto, linear, odd, sparse, trees"),
        ("tolerance=tight", "'tight' is not a number"),
    ],
)
def test_a_wrong_option_is_told(assay, option, told):
    done = assay(f"explain mine.py:build shapley {ROWS} --option {option}")
    assert done.code == 2
    assert told in done.err


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        ("explain mine.py:build surrogate_tree", "needs background: --background FILE."),
        ("explain mine.py:build leave_one_out", "needs remove: --option remove=VALUE (constant:0, mean, "),
        ("explain mine.py:build aggregate", "give members in Python, as assay.explain.aggregate(…, members=…)."),
        ("certify mine.py:build randomised_smoothing", "needs sigma: --option sigma=VALUE (a number)."),
    ],
)
def test_a_missing_argument_is_named_with_the_flag_that_gives_it(assay, words, flags):
    done = assay(f"{words} --data plain.csv --target y --rows 3")
    assert done.code == 2
    assert flags in done.err


def test_reasons_against_a_group_are_printed(assay):
    asked = "--option folds=2 --option group=everybody --option actionable=a"
    done = assay(f"explain mine.py:build reason_codes {ROWS} {asked}")
    assert done.code == 0, done.err
    assert "mean of everybody" in done.out
    index = assay(f"explain mine.py:build qii {ROWS} --option index=unary --option folds=2 --format json")
    assert json.loads(index.out)["provenance"]["options"]["index"] == "unary"


def test_a_removal_that_fills_needs_a_background(assay):
    done = assay("explain mine.py:build shapley --data plain.csv --target y --option remove=marginal")
    assert done.code == 2
    assert "--background" in done.err


def test_evaluate_takes_a_saved_explanation_or_makes_one(assay):
    assay(f"explain mine.py:build shapley {ROWS} --save kept.assay")
    saved = assay(f"evaluate mine.py:build deletion {ROWS} --explanation kept.assay --format json")
    made = assay(f"evaluate mine.py:build deletion {ROWS} --of shapley --format json")
    assert json.loads(saved.out)["values"] == json.loads(made.out)["values"]


@pytest.mark.parametrize("which", ["", "--of shapley --explanation kept.assay"])
def test_evaluate_needs_one_explanation(assay, which):
    done = assay(f"evaluate mine.py:build deletion {ROWS} {which}")
    assert done.code == 2
    assert "--explanation FILE.assay, or --of METHOD" in done.err


def test_pgd_attacks_a_prediction(assay):
    done = assay("attack mine.py:net pgd --data plain.csv --target y --rows 3 --ball linf:0.3 --option steps=2")
    assert done.code == 0, done.err
    assert "AttackResult pgd" in done.out


def test_top_k_attacks_an_explanation(assay):
    words = "attack mine.py:net top_k --data plain.csv --target y --rows 2 --ball l2:0.3:-9:9 --option steps=2"
    assert "AttackResult top_k" in assay(f"{words} --of saliency").out
    assert "say which explanation" in assay(words).err


@pytest.mark.parametrize("ball", ["lnf:0.3", "linf", "linf:x", "linf:-1"])
def test_a_ball_that_is_none_is_told(assay, ball):
    done = assay(f"attack mine.py:net pgd --data plain.csv --target y --rows 2 --ball {ball}")
    assert done.code == 2
    assert "ball" in done.err


def test_certify_speaks_of_the_leading_parts(assay):
    done = assay(f"certify mine.py:build soft_stability {ROWS} --of shapley --share 0.5 --option draws=9")
    assert done.code == 0, done.err
    assert "Certificate soft_stability" in done.out


@pytest.mark.parametrize("parts", ["top:0.5", "smallest"])
def test_certify_speaks_of_the_chosen_parts(assay, parts):
    done = assay(f"certify mine.py:build soft_stability {ROWS} --of shapley --parts {parts} --option draws=9")
    assert done.code == 0, done.err
    assert "Certificate soft_stability" in done.out


@pytest.mark.parametrize(
    "words",
    [
        "randomised_smoothing --option sigma=0.5 --option draws=50",
        "removal_effect --of shapley --option share=0.5",
        "removal_bound --of shapley --ball l2:0.1 --option lipschitz=2",
        "soft_stability --of shapley --option sampling=shell --option limits=empirical-bernstein --option draws=9",
    ],
)
def test_certificates_say_what_they_are_worth(assay, words):
    done = assay(f"certify mine.py:build {words} {ROWS}")
    assert done.code == 0, done.err
    assert "holds for" in done.out


@pytest.mark.parametrize("parts", ["largest", "top:x", "top:2"])
def test_parts_that_are_none_are_told(assay, parts):
    done = assay(f"certify mine.py:build soft_stability {ROWS} --of shapley --parts {parts}")
    assert done.code == 2
    assert "top:0.25" in done.err or "share is a fraction" in done.err


def test_certify_speaks_of_the_explanation_itself_where_the_certificate_does(assay):
    done = assay(f"certify mine.py:build shapley_error {ROWS} --of shapley")
    assert done.code == 0, done.err
    assert "Certificate shapley_error" in done.out


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        ("membership --data plain.csv --target y --train train.csv --ids id --sensitive sex", {"PRV101", "PRV103"}),
        (
            "shadow_membership --data plain.csv --target y --recipe mine.py:recipe --train train.csv --ids id "
            "--sensitive sex --option shadows=4",
            {"PRV104", "PRV105", "PRV106"},
        ),
        ("data --data plain.csv --target y --train plain.csv", {"DAT101", "DAT104"}),
        ("shortcut --data plain.csv --target y --train plain.csv --suspects a", {"SHC201", "SHC202"}),
        ("disparity --data test.csv --target y --ids id --sensitive sex", {"FAI101", "FAI102", "FAI110"}),
    ],
)
def test_diagnose_gives_findings(assay, words, codes, project):
    if "membership" in words:
        words = words.replace("plain.csv", "test.csv", 1)
    done = assay(f"diagnose mine.py:build {words} --format json")
    assert done.code in (0, 1), done.err
    found = json.loads(done.out)
    assert codes <= {finding["code"] for finding in found}
    assert done.code == int(any(finding["verdict"] == "fail" for finding in found))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("membership --data plain.csv --target y", "--train FILE"),
        ("membership --data plain.csv --train plain.csv", "--target COLUMN"),
        ("shadow_membership --data plain.csv --target y", "--recipe FILE.py:FUNCTION"),
        ("disparity --data test.csv --target y --ids id", "--sensitive COLUMN"),
        ("explanation_trust --data plain.csv", "run assay audit"),
        ("explanation_shift --data plain.csv", "--other FILE"),
    ],
)
def test_diagnose_says_what_it_lacks(assay, words, told):
    done = assay(f"diagnose mine.py:build {words}")
    assert done.code == 2
    assert told in done.err


def test_refit_tells_before_and_after(assay):
    done = assay("repair mine.py:build refit --data plain.csv --target y --recipe mine.py:recipe --option without=b")
    assert done.code == 0, done.err
    assert "without b" in done.out
    assert "accuracy: " in done.out


@pytest.mark.parametrize(("recipe", "told"), [("", "--recipe FILE.py:FUNCTION"), ("mine.py:build", "assay.Recipe")])
def test_refit_needs_a_recipe(assay, recipe, told):
    words = ["repair", "mine.py:build", "refit", "--data", "plain.csv", "--target", "y"]
    done = assay([*words, *(["--recipe", recipe] if recipe else [])])
    assert done.code == 2
    assert told in done.err


def test_smoothing_tells_agreement(assay):
    done = assay("repair mine.py:net smoothing --data plain.csv --target y --option sigma=0.1 --format json")
    assert set(json.loads(done.out)["after"]) == {"agreement", "mean confidence"}


def test_a_method_that_does_not_exist_is_told_with_its_neighbour(assay):
    done = assay(f"explain mine.py:build shaply {ROWS}")
    assert done.code == 2
    assert "did you mean shapley" in done.err


SURE = "mine.py:memorising"
"""A model whose probabilities are 0 and 1."""


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_infinite_log_odds_are_told_with_a_target_that_is_finite(assay):
    done = assay(f"explain {SURE} shapley {ROWS} --ask log_odds")
    assert done.code == 0, done.err
    assert "--ask probability" in done.out
    assert "Warning" not in done.err
    assert "nan" not in assay(f"explain {SURE} shapley {ROWS} --ask probability").out


def test_the_loss_that_is_finite_is_the_one_that_the_refusal_names(assay):
    background = "--data plain.csv --target y --background plain.csv"
    refused = assay(f"explain {SURE} permutation_importance {background} --ask loss")
    assert (refused.code, "--ask brier" in refused.err) == (3, True)
    for method in ("permutation_importance", "sage"):
        done = assay(f"explain {SURE} {method} {background} --ask brier")
        assert done.code == 0, done.err
        assert "nan" not in done.out
    without = assay(f"explain {SURE} sage --data plain.csv --background plain.csv --ask brier")
    assert "--ask brier needs the true labels" in without.err


def test_a_repair_that_trains_reads_the_training_rows_and_the_ball(assay):
    words = "repair mine.py:net curvature_penalty --data plain.csv --target y --rows 12 --option epochs=1 --format json"
    small = "--option steps=1 --option rows=4 --ball linf:0.1"
    done = assay(f"{words} --train plain.csv {small}")
    assert done.code == 0, done.err
    found = json.loads(done.out)["after"]
    assert {"accuracy", "robust accuracy", "top-k overlap under attack, plain fine-tuning"} <= set(found)
    assert "--train" in assay(words).err
    assert "does not read --ball" in assay(f"repair mine.py:build refit {ROWS} --ball linf:0.1").err


def test_repairs_of_explainers_take_names_and_rows(assay):
    members = "--option members=saliency,input_x_gradient"
    done = assay(f"repair mine.py:net aggregation --data plain.csv --target y --rows 4 {members}")
    assert done.code == 0, done.err
    assert "mean of the ranks of saliency, input_x_gradient" in done.out
    given = "--data plain.csv --target y --rows 6 --train plain.csv --option explanation=shapley"
    done = assay(f"repair mine.py:build removal {given} --option count=5 --option draws=1")
    assert done.code == 0, done.err
    assert "in place of" in done.out


def test_the_code_of_a_check_tries_each_repair_that_answers_it(assay):
    done = assay("repair mine.py:build PRV101 --data plain.csv --target y --recipe mine.py:recipe -q")
    assert done.code == 0, done.err
    assert "→" in done.out
    assert "repair.private_training was not tried" in done.err
    none = assay("repair mine.py:build DAT101 --data plain.csv --target y")
    assert "no repair answers DAT101" in none.err
    many = assay("repair mine.py:build PRV101 --data plain.csv --target y --option strength=1")
    assert "--option is for one repair; name one of" in many.err


PROTOTYPE_NETS = """
def prototype_net():
    import torch
    torch.manual_seed(0)
    body = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3, stride=2), torch.nn.Sigmoid())
    return torch.nn.Sequential(body, torch.nn.Flatten(), torch.nn.Linear(27, 2)).eval()

def declared():
    import numpy as np
    import torch
    from assay.interpretable import PrototypeNet
    given = np.load('train.npz')
    body = prototype_net()[0]
    return PrototypeNet(body, per_class=2, epochs=1).fit(torch.as_tensor(given['x']), given['y']).net_
"""


@pytest.mark.parametrize(
    ("model", "files", "regions", "is_fitted"),
    [
        ("nets.py:prototype_net", "--train train.npz --data test.npz", True, True),
        ("nets.py:declared", "--train train.npz --data test.npz", True, False),
        ("mine.py:deep", "--train train.csv --data test.csv", False, True),
    ],
)
def test_prototypes_are_explained_from_files_of_pictures_and_of_a_table(
    assay, project, model, files, regions, is_fitted
):
    (project / "nets.py").write_text(PROTOTYPE_NETS)
    rng = np.random.default_rng(0)
    for name, count in (("train.npz", 20), ("test.npz", 3)):
        y = np.arange(count) % 2
        x = rng.uniform(0, 1, (count, 1, 8, 8)) * (0.2 + y[:, None, None, None])
        np.savez(project / name, x=x.astype(np.float32), y=y)
    if model == "mine.py:deep":
        for name in ("train.csv", "test.csv"):
            pd.read_csv(name)[["a", "b", "y"]].to_csv(name, index=False)
    asked = f"explain {model} prototypes {files} --target y --rows 3 --output logits --option per_class=2"
    done = assay(f"{asked} --save kept.assay")
    assert done.code == 0, done.err
    assert "all other prototypes" in done.out
    assert ("region" in done.out) == regions
    kept = package.load("kept.assay")
    np.testing.assert_allclose(kept.values.sum(axis=1), kept.output, atol=1e-4)
    assert any(note.code == "fitted-head" for note in kept.notes) == is_fitted
    assert "--train FILE" in assay(asked.replace(files.partition("--data")[0], "")).err
