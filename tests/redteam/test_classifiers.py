"""Red teams of classifiers with planted faults, and of generators judged by the caller's own classifier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import assay
from assay.auditing.redteam.red_team import redteam
from assay.basics.errors import CapabilityError, InputError
from assay.basics.samples.clustered_rates import clustered_difference_limits
from tests.redteam.planted import robust, text_classifier, texts


def failed(run: assay.Run) -> set[str]:
    return {finding.code for finding in run.findings if finding.verdict == "fail"}


def test_a_biased_classifier_is_found_and_its_clean_twin_is_not() -> None:
    given = {"rows": texts(0), "favourable": "good"}
    assert "FAI401" in failed(redteam(text_classifier(0, biased=True), **given))
    clean = redteam(text_classifier(0, biased=False), **given)
    assert "FAI401" not in failed(clean)
    assert "FAI401" in {finding.code for finding in clean.findings}


def test_a_classifier_that_hangs_on_one_word_is_found_and_random_changes_are_the_control() -> None:
    run = redteam(text_classifier(0, biased=False), rows=texts(0))
    found = run["RED601"]
    assert found.verdict == "fail"
    result = run.record.attack_results["token_substitution"]
    ones = np.ones(len(result.success), dtype=int)
    limits = clustered_difference_limits(result.success, ones, result.random < 0, ones)
    assert (result.random < 0).any()
    assert found.basis.at(0.95) == replace(found.basis.at(0.95), low=limits[0], high=limits[1])
    assert found.estimate == pytest.approx(found.evidence["rate"] - found.evidence["random changes"])
    assert result.success.mean() == found.evidence["rate"]


def image_model(slope: float) -> assay.Model:
    import torch

    class Bright(torch.nn.Module):
        """Whether the mean of the pixels exceeds a half, with a margin that grows with the slope."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            score = slope * (x.mean(dim=(1, 2, 3)) - 0.5)
            return torch.stack([-score, score], dim=1)

    return assay.wrap(Bright().eval(), output="logits", classes=["dark", "bright"])


@pytest.mark.parametrize(("distance", "verdict"), [(0.02, "fail"), (0.4, "pass")])
def test_images_near_the_border_are_moved_across_it_and_far_ones_are_not(distance: float, verdict: str) -> None:
    rng = np.random.default_rng(0)
    sides = np.where(rng.random(50) < 0.5, 1, -1)[:, None, None, None]
    rows = np.clip(0.5 + sides * distance + rng.normal(0, 0.05, (50, 1, 4, 4)), 0, 1).astype(np.float32)
    run = redteam(image_model(20.0), rows=rows, ball=assay.Ball("linf", 0.1, 0.0, 1.0))
    assert run["RED602"].verdict == verdict
    if verdict == "pass":
        assert "A rate of" in run["RED602"].claim


def test_a_page_of_a_classifier_is_written(tmp_path) -> None:
    redteam(text_classifier(0, biased=True), rows=texts(0), prompts=20, out=tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "RED601" in page
    assert "FAI401" in page
    assert not (tmp_path / "report.jsonl").exists()


def test_what_a_kind_of_model_does_not_read_is_refused() -> None:
    model = text_classifier(0, biased=False)
    with pytest.raises(InputError, match="give the texts or images"):
        redteam(model)
    with pytest.raises(InputError, match="probes are not read"):
        redteam(model, rows=texts(0), probes=["unplanted"])
    with pytest.raises(InputError, match="rows are not read"):
        redteam(robust, rows=texts(0))
    with pytest.raises(InputError, match="ball="):
        redteam(image_model(1.0), rows=np.zeros((4, 1, 4, 4), dtype=np.float32))
    table = assay.wrap(lambda x: np.stack([1 - x[:, 0], x[:, 0]], axis=1), output="probabilities")
    with pytest.raises(CapabilityError, match="texts and images"):
        redteam(table, rows=np.random.default_rng(0).random((9, 2)))
    with pytest.raises(InputError, match="no classifier"):
        redteam(assay.wrap(lambda x: x[:, :1], output="values"), rows=np.zeros((9, 2)))


WOMEN = ("woman", "mother", "sister", "aunt", "queen", "wife", "actress", "waitress", "girl", "princess", "lady")
MEN = ("man", "father", "brother", "uncle", "king", "husband", "actor", "waiter", "boy", "prince", "gentleman")


@pytest.mark.parametrize(("side", "form"), [(MEN, "as written"), (WOMEN, "exchanged")])
def test_a_generator_that_speaks_badly_of_one_side_is_found_on_either_side(side: tuple[str, ...], form: str) -> None:
    def answer(messages: list[dict[str, str]]) -> str:
        return "awful" if set(messages[-1]["content"].lower().split()) & set(side) else "lovely"

    judge = {"classifier": text_classifier(0, biased=False), "flagged": "bad", "probes": ["swapped_requests"]}
    found = redteam(answer, **judge)["RED501"]
    assert (found.verdict, found.estimate > 0.5) == ("fail", True)
    assert form in found.evidence["flagged more often"]
    assert redteam(lambda messages: "lovely", **judge)["RED501"].verdict == "pass"
    assert redteam(lambda messages: "awful", **judge)["RED501"].estimate == 0.0


def test_toxic_answers_are_compared_with_sentences_by_people() -> None:
    judge = {"classifier": text_classifier(0, biased=False), "flagged": "bad", "probes": ["neutral_requests"]}
    run = redteam(lambda messages: "awful awful", **judge)
    assert run["RED401"].verdict == "fail"
    control = [one.output for one in run.results[0].attempts if one.arm == "control"]
    assert all(text.endswith(".") and "awful" not in text for text in control)
    silent = redteam(lambda messages: "", **judge)["RED401"]
    assert silent.verdict == "not applicable"
