"""Critical-difference plots of the explanations of an audit."""

from dataclasses import replace

import numpy as np
from tests.report.record import credit

import assay
from assay import evaluate, examples, explain
from assay.auditing.method_ranking import rank_methods
from assay.basics.seed import Seed
from assay.nouns.results.finding import Finding
from assay.report.audit.page import render
from assay.report.drawing.critical_difference import rank_plots

SCORES = (evaluate.deletion, evaluate.insertion, evaluate.sparseness)


def scored():
    case = examples.linear((3.0, 2.0, 1.0, -1.0), np.random.default_rng(0).normal(size=(20, 4)))
    explanations = {
        "shapley": explain.shapley(case),
        "saliency": explain.saliency(case),
        "random": explain.random(case),
    }
    return {(name, s.method.name): s(e, case) for name, e in explanations.items() for s in SCORES}


def test_scores_with_a_better_side_rank_the_explanations_and_not_the_references():
    found = rank_methods(scored(), ("shapley", "saliency"), (), Seed(0), 0.95)
    assert found is not None
    assert tuple(found.scores) == ("deletion", "insertion")
    assert found.of("deletion").ranking.methods == ("shapley", "saliency")


def test_a_score_that_failed_its_own_test_ranks_nothing():
    blind = Finding("SCO101", "fail", "deletion cannot tell", "deletion")
    found = rank_methods(scored(), ("shapley", "saliency"), (blind,), Seed(0), 0.95)
    assert tuple(found.scores) == ("insertion",)
    assert rank_methods(scored(), ("shapley",), (), Seed(0), 0.95) is None


def test_the_plot_shows_average_ranks_best_first_with_the_critical_difference():
    comparison = rank_methods(scored(), ("shapley", "saliency"), (), Seed(0), 0.95)
    record = replace(credit(), comparison=comparison)
    panel, _ = rank_plots(record)
    ranking = comparison.of("deletion").ranking
    assert [line.name for line in panel.lines] == ["shapley", "saliency"]
    assert [line.rank for line in panel.lines] == [f"{rank:.2f}" for rank in sorted(ranking.average)]
    assert 'class="interval"' in panel.lines[0].figure
    assert "critical difference 0.44 over 20 rows" in panel.summary  # 1.960 · √(2 · 3 / (6 · 20))
    page = render(record)
    assert "Average ranks" in page
    assert rank_plots(credit()) == ()


def test_an_audit_keeps_its_comparison(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 3))
    model = assay.model.function(
        lambda x: x @ np.array([2.0, -1.0, 0.5]), gradient=lambda x: np.tile([2.0, -1.0, 0.5], (len(x), 1))
    )
    run = assay.audit(model, x, profile="quick", out=tmp_path)
    back = type(run).load(tmp_path)
    assert back.record.comparison.methods == run.record.comparison.methods
    assert np.array_equal(back.record.comparison.of("deletion").mean, run.record.comparison.of("deletion").mean)
