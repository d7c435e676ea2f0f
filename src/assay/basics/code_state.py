# SPDX-License-Identifier: Apache-2.0
"""What functions, classes and modules are made of: their code, and what the code uses."""

from __future__ import annotations

import builtins
import dis
import functools
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Literal

SIGNATURE_FLAGS = 0x04 | 0x08 | 0x20 | 0x80 | 0x200
"""Flags of code objects that change calls: *args, **kwargs, generators, coroutines, asynchronous generators."""

MODULE_DEPTH = 3
"""How many modules a chain of attributes (``package.module.function``) is followed through."""

HEAP_TYPE = 1 << 9
"""The flag of types that are made at run time; the others are written in C."""

PLACE_NAMES = frozenset({"__name__", "__file__", "__package__", "__spec__", "__loader__", "__doc__", "__builtins__"})
"""Globals that say where a module lies."""

NO_CODE = frozenset(
    """
    __module__ __qualname__ __name__ __dict__ __weakref__ __doc__ __annotations__ __annotate__ __annotate_func__
    __annotations_cache__ __firstlineno__ __static_attributes__ __abstractmethods__ _abc_impl __parameters__
    __orig_bases__ __slots__ __match_args__ __dataclass_fields__ __dataclass_params__ __repr__ __str__
    """.split()  # noqa: SIM905  # a list of words is read more easily than a list of quoted words
)
"""Members of a class that its instances' behaviour does not depend on, or that other members repeat."""


@dataclass(frozen=True, eq=False)
class State:
    """What an object is made of: a kind, and parts that are digested in turn.

    ``parts`` are in order, or in any order ("set"), or keys and values by turns in any order of the pairs ("map").
    ``unread`` names the type of an object of which something could not be read.
    """

    kind: str
    parts: Sequence[Any] = ()
    order: Literal["list", "set", "map"] = "list"
    unread: str = ""


@dataclass(frozen=True, eq=False)
class ModuleUse:
    """A module, and the names of the attributes that code reads of it."""

    module: ModuleType
    names: frozenset[str]
    depth: int = 0


@dataclass(frozen=True)
class CodeText:
    """The instructions of a code object without positions, its constants in order of use, and the names it reads."""

    text: str
    constants: tuple[Any, ...]
    global_names: frozenset[str]
    attribute_names: frozenset[str]
    imports: frozenset[str]


@functools.lru_cache(4096)
def code_text(code: CodeType) -> CodeText:
    """The code's instructions; names include those of nested code."""
    lines: list[str] = []
    constants: list[Any] = []
    steps = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
    for step in steps:
        named = step.opcode in dis.hasname or step.opcode in dis.haslocal or step.opcode in dis.hasfree
        if step.opcode in dis.hasconst:
            lines.append(f"{step.opname} constant")
            constants.append(step.argval)
        else:
            lines.append(f"{step.opname} {step.argval if named else step.arg}")
    names = [_names(steps), *(_nested_names(constant) for constant in constants if isinstance(constant, CodeType))]
    head = [
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & SIGNATURE_FLAGS),
        code.co_varnames[: code.co_argcount + code.co_kwonlyargcount],
        code.co_exceptiontable.hex(),
    ]
    global_names, attributes, imports = (frozenset[str]().union(*found) for found in zip(*names))
    return CodeText("\n".join([repr(head), *lines]), tuple(constants), global_names, attributes, imports)


def _nested_names(code: CodeType) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    text = code_text(code)
    return text.global_names, text.attribute_names, text.imports


def _names(steps: Sequence[dis.Instruction]) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Names of globals, of attributes and of imported modules that the instructions read."""
    global_names: set[str] = set()
    attributes: set[str] = set()
    imports: set[str] = set()
    imported = ""
    for step in steps:
        name = str(step.argval)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            global_names |= {name} - PLACE_NAMES
        elif step.opname == "IMPORT_NAME":
            imported = name
            imports.add(imported)
        elif step.opcode in dis.hasname:
            attributes.add(name)
        if step.opname == "IMPORT_FROM":
            imports.add(f"{imported}.{name}".lstrip("."))
    return frozenset(global_names), frozenset(attributes), frozenset(imports)


def code_state(code: CodeType) -> State:
    """Instructions and constants; no names of functions, no docstring, no file and no line numbers."""
    text = code_text(code)
    return State(f"code {text.text}", text.constants)


def function_state(function: FunctionType) -> State:
    """The user's function: code, defaults, closure, and the globals that it reads; a library's: its name and closure.

    The name does not count where the code does.
    """
    closure = dict(_closure(function))
    given = [function.__defaults__, function.__kwdefaults__, closure]
    if is_library_code(function):
        name = f"{function.__module__}.{function.__qualname__}"
        if "<" not in name:
            return State(f"library function {name}", given if closure else ())
        return State(f"library function {name}", [function.__code__, *given])
    attributes = {name: value for name, value in vars(function).items() if name != "__wrapped__"}
    return State("function", [function.__code__, *given, attributes, dict(_globals(function))])


def _closure(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        if name == "__class__":
            continue  # the class of a method, for super(); the object's type is read with the object
        try:
            yield name, cell.cell_contents
        except ValueError:  # the cell is still empty
            continue


def _globals(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The globals that the code reads, by name, and the modules that it imports."""
    text, namespace = code_text(function.__code__), function.__globals__
    for name in sorted(text.global_names):
        if name in namespace:
            value = namespace[name]
            yield name, ModuleUse(value, text.attribute_names) if isinstance(value, ModuleType) else value
        elif not hasattr(builtins, name):
            yield name, State("undefined global")
    for name in sorted(text.imports):
        yield f"import {name}", _imported(name, str(namespace.get("__package__") or ""))


def _imported(name: str, package: str) -> State:
    """The source of the user's module that a function imports when it is called; a library's module by its name."""
    for full in (name, *(f"{parent}.{name}".rstrip(".") for parent in _parents(package))):
        file = _users_source(full)
        if file is not None:
            return State("imported", [file.read_bytes()])
    return State(f"imported {name}")


def _users_source(name: str) -> Path | None:
    """The file of a module of the user, found without importing it."""
    top, *rest = name.split(".")
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if found is None or is_library_module(top):
        return None
    files = [Path(found.origin)] if found.origin and not rest else []
    for folder in found.submodule_search_locations or () if rest else ():
        files += [Path(folder, *rest).with_suffix(".py"), Path(folder, *rest, "__init__.py")]
    return next((file for file in files if file.is_file() and not is_library_file(str(file))), None)


def _parents(package: str) -> Iterator[str]:
    while package:
        yield package
        package = package.rpartition(".")[0]


def module_state(use: ModuleUse) -> State:
    """What code reads of the user's module; of a library's module, its name and what the user replaced in it."""
    found = {name: vars(use.module)[name] for name in sorted(use.names) if name in vars(use.module)}
    if is_library_module(use.module.__name__):
        return State(f"library module {use.module.__name__}", _pairs(_replaced(found)), "map")
    deeper = {
        name: ModuleUse(value, use.names, use.depth + 1) if isinstance(value, ModuleType) else value
        for name, value in found.items()
        if not (isinstance(value, ModuleType) and use.depth >= MODULE_DEPTH)
    }
    return State("module", _pairs(deeper), "map")


def class_state(cls: type) -> State:
    """The user's class: its name, bases and members; a library's class: its name, and methods that the user replaced.

    Docstrings, annotations and texts for printing do not count.
    """
    if is_library_class(cls):
        bases = filter(is_library_class, reversed(cls.__mro__))
        replaced = {name: value for base in bases for name, value in _replaced(vars(base)).items()}
        return State(f"library class {cls.__module__}.{cls.__qualname__}", _pairs(replaced), "map")
    members = {name: value for name, value in vars(cls).items() if name not in NO_CODE}
    return State(f"class {cls.__name__}", [cls.__bases__, members])


def _replaced(members: Mapping[str, Any]) -> dict[str, FunctionType]:
    """Functions of the user among the members of a library's class or module."""
    return {
        name: value for name, value in members.items() if isinstance(value, FunctionType) and not is_library_code(value)
    }


def _pairs(members: Mapping[str, Any]) -> list[Any]:
    return [part for pair in members.items() for part in pair]


def is_library_class(cls: type) -> bool:
    """Whether a class comes from Python, from an installed package or from this one, or is written in C."""
    compiled = not cls.__flags__ & HEAP_TYPE or cls.__module__.startswith("_cython")
    return compiled or is_library_module(cls.__module__)


def is_library_code(function: FunctionType) -> bool:
    """Whether a function comes from Python, from an installed package or from this one, and not from the user."""
    file = function.__code__.co_filename
    if not file.startswith("<"):
        return is_library_file(file)
    if file.startswith("<frozen"):
        return True
    module = function.__globals__.get("__name__")  # code made at run time, such as that of a dataclass
    return isinstance(module, str) and is_library_module(module)


@functools.cache
def is_library_file(file: str) -> bool:
    """Whether a file lies in a folder of Python, of installed packages or of this package."""
    path = Path(file)
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    return any(folder in path.parents or folder in path.resolve().parents for folder in _library_folders())


@functools.cache
def _library_folders() -> frozenset[Path]:
    found = [Path(sysconfig.get_paths()[kind]) for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    found.append(Path(__file__).parents[1])
    return frozenset([*found, *(path.resolve() for path in found)])


def is_library_module(name: str) -> bool:
    """Whether a module belongs to Python, to an installed package or to this one, and not to the user."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return True
    for known in (name, top):
        module = sys.modules.get(known)
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            return is_library_file(file)
        if module is not None and hasattr(module, "__path__"):  # a package without __init__.py
            return any(is_library_file(str(path)) for path in module.__path__)
    return False
