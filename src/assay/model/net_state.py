# SPDX-License-Identifier: Apache-2.0
"""What a torch net is made of: weights, buffers, the code of its modules, their attributes and hooks."""

from __future__ import annotations

import dis
import functools
import re
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from assay.basics.code_state import NO_CODE, State, is_library_class

TORCH = ("torch", "torchvision", "torchaudio")
"""Packages whose modules count by their names, not by their code."""

INTERNAL = frozenset(
    """
    training _parameters _buffers _non_persistent_buffers_set _modules _is_full_backward_hook _backward_pre_hooks
    _backward_hooks _forward_hooks _forward_hooks_with_kwargs _forward_hooks_always_called _forward_pre_hooks
    _forward_pre_hooks_with_kwargs _state_dict_hooks _state_dict_pre_hooks _load_state_dict_pre_hooks
    _load_state_dict_post_hooks _flat_weights _flat_weight_refs _compiled_call_impl _is_torch_compile _is_hf_initialized
    warnings_issued name_or_path _trainer _fabric _device generation_config kernel_config loss_type hf_device_map
    _use_kernels _weight_conversions _tp_plan _ep_plan _pp_plan _fsdp_plan all_tied_weights_keys _keep_in_fp32_modules
    _keep_in_fp32_modules_strict _no_split_modules _skip_keys_device_placement _keys_to_ignore_on_save
    _keys_to_ignore_on_load_unexpected _keys_to_ignore_on_load_missing
    """.split()  # noqa: SIM905  # a list of words is read more easily than a list of quoted words
)
"""Attributes of a module that are read in another way, or that do not change what it returns."""

GRAPH_INTERNAL = frozenset(
    """
    _graph _tracer_cls _tracer_extras meta _lineno_map _prologue_start shape_env _deepcopy_hooks _replace_hooks
    _create_node_hooks _erase_node_hooks train eval
    """.split()  # noqa: SIM905  # a list of words is read more easily than a list of quoted words
)
"""Attributes of a traced module that its code repeats."""

HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
"""Hooks that change outputs or gradients."""

CONSTRUCTION = frozenset({"__init__", "extra_repr", "reset_parameters"})
"""Methods that run before the module's state is read, or that print it."""

CONFIG_PLACES = frozenset(
    {"_name_or_path", "name_or_path", "transformers_version", "_commit_hash", "architectures", "torch_dtype", "dtype"}
)
"""Fields of a transformers configuration that say where the net comes from."""


def read_net(thing: Any) -> State | None:
    """A torch module as its class, weights, buffers, submodules in order, attributes and hooks; ``None`` for others."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "nn"):
        return None
    if isinstance(thing, torch.nn.Module):
        return _module_state(thing)
    if isinstance(thing, torch.jit.ScriptFunction):
        return State("script", [thing.code])
    if isinstance(thing, torch.device):
        return State("device")
    if isinstance(thing, torch.Generator):
        return State("generator", [thing.get_state()])
    config = type(thing).__module__.partition(".")[0] == "transformers" and type(thing).__name__.endswith("Config")
    if config and callable(getattr(thing, "to_dict", None)):
        return State("configuration", [{k: v for k, v in thing.to_dict().items() if k not in CONFIG_PLACES}])
    return None


def saved_extras(net: Any) -> dict[str, Any]:
    """What ``state_dict`` holds beyond parameters and buffers: extra state, packed weights."""
    known = {name for name, _ in net.named_parameters(remove_duplicate=False)}
    known |= {name for name, _ in net.named_buffers(remove_duplicate=False)}
    return {name: value for name, value in net.state_dict().items() if name not in known}


def _module_state(module: Any) -> State:
    torch, kind = sys.modules["torch"], type(module)
    if isinstance(module, torch.jit.ScriptModule):  # its code is not Python's
        parts = [(name, dict(_script_methods(part)), _script_attributes(part)) for name, part in module.named_modules()]
        return State("script", [parts, *_members(module.named_parameters()), *_members(module.named_buffers())])
    if kind.__name__ == "OptimizedModule" and "_orig_mod" in module._modules:
        return State("compiled", [module._orig_mod])
    left_out = INTERNAL | _write_only(kind) | _recomputed(module)
    if isinstance(module, torch.fx.GraphModule):
        left_out |= GRAPH_INTERNAL
    own = vars(module)
    return State(
        "net",
        [
            *_classes(kind),
            State("parameters", list(_members(own["_parameters"].items()))),
            State("buffers", list(_members(own["_buffers"].items()))),
            State("modules", list(_members(own["_modules"].items()))),
            {name: value for name, value in own.items() if name not in left_out},
            *(part for hooks in HOOKS for part in _hooks(module, hooks)),
        ],
    )


def _script_methods(module: Any) -> Iterator[tuple[str, Any]]:
    """The text and the constants of each method of a script module, without the numbers that torch gives to classes."""
    for name in module._c._method_names():
        text, constants = module._c._get_method(name).code_with_constants
        yield name, (re.sub(r"___torch_mangle_\d+\.?", "", text), constants)


def _script_attributes(module: Any) -> dict[str, Any]:
    """The attributes that the methods of a script module name; modules and weights are read elsewhere."""
    names = {name for _, (text, _) in _script_methods(module) for name in re.findall(r"\.(\w+)", text)}
    found = {name: module._c.getattr(name) for name in sorted(names) if module._c.hasattr(name)}
    return {name: value for name, value in found.items() if not isinstance(value, type(module._c))}


def _recomputed(module: Any) -> set[str]:
    """Tensors that hooks of ``torch.nn.utils`` (weight_norm, spectral_norm, prune) compute before each pass."""
    hooks = [hook for hook in module._forward_pre_hooks.values() if type(hook).__module__.startswith("torch.nn.utils")]
    return {str(getattr(hook, "name", getattr(hook, "_tensor_name", ""))) for hook in hooks}


def _members(pairs: Any) -> Iterator[Any]:
    """Names and members by turns, in their order; absent ones are left out."""
    for name, value in pairs:
        if value is not None:
            yield from (name, value)


def _classes(kind: type) -> Iterator[Any]:
    """The classes of a module: those of torch by name, of the others the code of all methods but of construction."""
    for base in kind.__mro__:
        is_module = issubclass(base, sys.modules["torch"].nn.Module)
        if base.__module__.partition(".")[0] in TORCH or (is_library_class(base) and not is_module):
            yield base
        else:
            members = {name: value for name, value in vars(base).items() if name not in NO_CODE | CONSTRUCTION}
            yield State(f"module class {base.__name__}", [{k: _with_code(value) for k, value in members.items()}])


def _with_code(member: Any) -> Any:
    """A method with its code, which of a library's function would not count."""
    return [member, member.__code__] if isinstance(member, FunctionType) else member


def _hooks(module: Any, kind: str) -> Iterator[Any]:
    """The hooks of a module in their order, and whether they get keyword arguments."""
    hooks = getattr(module, kind, None) or {}
    named = getattr(module, f"{kind}_with_kwargs", {})
    always = getattr(module, f"{kind}_always_called", {})
    for key, hook in hooks.items():
        yield State(kind, [hook, key in named, key in always])


def _write_only(kind: type) -> set[str]:
    """Attributes that ``forward``, and the methods it calls, write and never read: values of the last pass."""
    stored: set[str] = set()
    loaded: set[str] = set()
    reached: set[str] = set()
    waiting = ["forward"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        method = getattr(kind, name, None)
        if isinstance(method, FunctionType):
            written, read = _attribute_use(method.__code__)
            stored |= written
            loaded |= read
            waiting += [other for other in read if other not in reached]
    return stored - loaded


@functools.lru_cache(4096)
def _attribute_use(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """Names of attributes that the code writes, and those that it reads or names in a text."""
    steps = list(dis.get_instructions(code))
    written = {str(step.argval) for step in steps if step.opname == "STORE_ATTR"}
    read = {str(step.argval) for step in steps if step.opcode in dis.hasname and step.opname != "STORE_ATTR"}
    for constant in code.co_consts:
        if isinstance(constant, str):
            read.add(constant)
        elif isinstance(constant, CodeType):
            more_written, more_read = _attribute_use(constant)
            written |= more_written
            read |= more_read
    return frozenset(written), frozenset(read)
