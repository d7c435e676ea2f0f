"""Agreement with kronfluence's EK-FAC: a second witness, never the oracle.

Kronfluence is installed without its dependencies, one of which (torchvision) it never imports. What it needs of
accelerate, einops, einconv and opt_einsum for these factors is put in their place where they are missing.
"""

from __future__ import annotations

import copy
import enum
import importlib.util
import sys
import types
from typing import Any

import pytest
import torch
from numpy.testing import assert_allclose

import assay
from assay.engine.influence.ek_fac import ek_fac_factors
from assay.engine.influence.training_rows import training_case
from assay.engine.influence.weight_gradients import weight_layers

pytestmark = pytest.mark.peer


ABSENT = {
    name for name in ("accelerate", "einops", "einconv", "opt_einsum") if importlib.util.find_spec(name) is None
}  # asked once: a stand-in has no spec


def module(name: str, **members: Any) -> types.ModuleType:
    found = types.ModuleType(name)
    found.__dict__.update(members)
    return found


def reduce(tensor: torch.Tensor, pattern: str, reduction: str) -> torch.Tensor:
    assert (pattern, reduction) == ("b g c_in i1 i2 -> b c_in i1 i2", "mean")
    return tensor.mean(dim=1)


def stand_ins() -> dict[str, types.ModuleType]:
    """The names that kronfluence imports of packages that are not there."""

    class BaseEnum(enum.Enum):
        pass

    def nothing(*_: Any, **__: Any) -> None:
        raise AssertionError("not needed for the factors of a batch")

    def rearrange(tensor: torch.Tensor, pattern: str, **lengths: int) -> torch.Tensor:
        from functorch.einops.rearrange import rearrange as torch_rearrange

        return torch_rearrange(tensor, pattern, **lengths)

    utils = {"extract_model_from_parallel": nothing, "find_batch_size": nothing, "send_to_device": nothing}
    return {
        "accelerate": module("accelerate"),
        "accelerate.utils": module("accelerate.utils", **utils, KwargsHandler=object),
        "accelerate.utils.dataclasses": module("accelerate.utils.dataclasses", BaseEnum=BaseEnum),
        "accelerate.utils.memory": module("accelerate.utils.memory", should_reduce_batch_size=nothing),
        "accelerate.state": module("accelerate.state", SharedDict=dict),
        "einops": module("einops", rearrange=rearrange, reduce=reduce),
        "einconv": module("einconv"),
        "einconv.utils": module("einconv.utils", get_conv_paddings=nothing),
        "opt_einsum": module("opt_einsum", DynamicProgramming=nothing, contract_path=nothing),
    }


@pytest.fixture
def factors(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Kronfluence's modules of factors."""
    if importlib.util.find_spec("kronfluence") is None:
        pytest.skip("kronfluence is not installed (make peers)")
    for name, found in stand_ins().items():
        if name.partition(".")[0] in ABSENT:
            monkeypatch.setitem(sys.modules, name, found)
    from kronfluence.arguments import FactorArguments
    from kronfluence.module.tracked_module import ModuleMode, TrackedModule
    from kronfluence.module.utils import set_mode, wrap_tracked_modules

    return types.SimpleNamespace(
        FactorArguments=FactorArguments,
        ModuleMode=ModuleMode,
        TrackedModule=TrackedModule,
        set_mode=set_mode,
        wrap_tracked_modules=wrap_tracked_modules,
    )


def nets() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    return {
        "linear": torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3, bias=False)),
        "convolutions": torch.nn.Sequential(
            torch.nn.Conv2d(2, 4, 3, stride=2, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(36, 3)
        ),
    }


SHAPES = {"linear": (6,), "convolutions": (2, 5, 5)}


@pytest.mark.parametrize("name", list(SHAPES))
def test_factors_and_corrected_eigenvalues_agree(factors: Any, name: str) -> None:
    """Both get each label's gradient, weighted by the root of its probability."""
    net = nets()[name].double()
    x = torch.randn(20, *SHAPES[name], dtype=torch.float64)
    case = assay.case(assay.wrap(net, output="logits"), x[:2], target="loss", label=[0, 1])
    train = training_case(case, (x, [0, 1, 2, 1] * 5))
    ours = ek_fac_factors(train, weight_layers(case.model)[0], 1 << 24)
    kinds = dict.fromkeys(
        ("activation_covariance_dtype", "gradient_covariance_dtype", "per_sample_gradient_dtype", "lambda_dtype"),
        torch.float64,
    )
    arguments = factors.FactorArguments(strategy="ekfac", **kinds)
    tracked = factors.wrap_tracked_modules(copy.deepcopy(net), task=None, factor_args=arguments)

    def pass_all(mode: Any) -> None:
        factors.set_mode(tracked, mode)
        for label in range(3):
            outputs = tracked(x)
            roots = torch.softmax(outputs.detach(), dim=1)[:, label].sqrt()
            labels = torch.full((len(x),), label)
            (roots * torch.nn.functional.cross_entropy(outputs, labels, reduction="none")).sum().backward()

    pass_all(factors.ModuleMode.COVARIANCE)
    modules = [one for one in tracked.modules() if isinstance(one, factors.TrackedModule)]
    assert len(modules) == len(ours) == 2
    for one, own in zip(modules, ours):
        seen = float(one.get_factor("num_activation_covariance_processed"))
        assert_allclose(own.inputs, one.get_factor("activation_covariance") / seen, rtol=1e-8, atol=1e-12)
        seen = float(one.get_factor("num_gradient_covariance_processed"))
        assert_allclose(own.slopes, 3 * one.get_factor("gradient_covariance") / seen, rtol=1e-8, atol=1e-12)
        one.set_factor("activation_eigenvectors", own.input_basis)
        one.set_factor("gradient_eigenvectors", own.slope_basis)
        for kind, size in (("activation", len(own.inputs)), ("gradient", len(own.slopes))):
            one.set_factor(f"{kind}_eigenvalues", torch.ones(size))  # asked for, and not read
    pass_all(factors.ModuleMode.LAMBDA)
    for one, own in zip(modules, ours):
        found = 3 * one.get_factor("lambda_matrix") / float(one.get_factor("num_lambda_processed"))
        assert_allclose(own.eigenvalues, found, rtol=1e-8, atol=1e-12)
