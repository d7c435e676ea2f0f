# SPDX-License-Identifier: Apache-2.0
"""A digest of any object by what it is made of: the same in every process, whatever is shared in memory."""

from __future__ import annotations

import contextlib
import copyreg
import enum
import functools
import hashlib
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.code_state import (
    HEAP_TYPE,
    ModuleUse,
    State,
    class_state,
    code_state,
    function_state,
    is_library_class,
    is_library_module,
    module_state,
)

Reader = Callable[[Any], State | None]
"""Reads objects of a library; ``None`` for others."""

CACHED_FUNCTION = type(functools.cache(lambda: None))
"""The type of functions that ``functools.lru_cache`` returns."""

DESCRIPTORS = MethodDescriptorType | WrapperDescriptorType | GetSetDescriptorType | MemberDescriptorType

LOCKS = ("lock", "RLock", "_RLock")


@dataclass(frozen=True)
class StateDigest:
    """A digest (32 hexadecimal digits), and the names of types of which something could not be read."""

    digest: str
    unread: tuple[str, ...]


def digest_state(thing: Any, readers: Sequence[Reader] = ()) -> StateDigest:
    """The digest of what ``thing`` is made of, recursively; ``readers`` are tried before the rules for any object.

    Equal content has equal digests: numbers, text, arrays (without the bytes between fields), containers (without the
    order of keys and sets), functions of the user (with the functions and globals that they use), classes, and the
    attributes of other objects. An object that cannot be read counts by its type, which ``unread`` names.
    """
    walk = _Walk((*readers, *RULES))
    return StateDigest(walk.digest(thing).hex(), tuple(sorted(walk.unread)))


@dataclass
class _Frame:
    """An object whose parts are being digested."""

    thing: Any
    state: State
    digests: list[bytes] = field(default_factory=list)


@dataclass
class _Walk:
    """Digests of objects by identity; a part that contains itself counts by its distance. No recursion."""

    readers: Sequence[Reader]
    known: dict[int, tuple[Any, bytes]] = field(default_factory=dict)
    depths: dict[int, int] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)

    def digest(self, root: Any) -> bytes:
        frames = [_Frame(None, State("root", [root]))]
        while True:
            frame = frames[-1]
            if len(frame.digests) < len(frame.state.parts):
                part = frame.state.parts[len(frame.digests)]
                found = self.find(part, len(frames))
                if found is not None:
                    frame.digests.append(found)
                else:
                    self.depths[id(part)] = len(frames)
                    frames.append(_Frame(part, self.read(part)))
                continue
            result = _join(frame.state, frame.digests)
            frames.pop()
            if not frames:
                return result
            del self.depths[id(frame.thing)]
            self.known[id(frame.thing)] = frame.thing, result
            frames[-1].digests.append(result)

    def find(self, part: Any, depth: int) -> bytes | None:
        """The digest of plain data, of an object that was digested before, or of one that contains itself."""
        plain = plain_digest(part)
        if plain is not None:
            return plain
        if id(part) in self.known:
            return self.known[id(part)][1]
        if id(part) in self.depths:
            return _hash(f"{depth - self.depths[id(part)]} above".encode())
        return None

    def read(self, thing: Any) -> State:
        """What the thing is made of; where reading raises, the next rule is tried, and the type is noted."""
        for reader in self.readers:
            try:
                state = reader(thing)
            except Exception:  # noqa: BLE001  # any error of the object's own code says that it cannot be read
                self.unread.add(_type_name(thing))
                continue
            if state is not None:
                if state.unread:
                    self.unread.add(state.unread)
                return state
        self.unread.add(_type_name(thing))
        return State(f"unread {_type_name(thing)}")


def _join(state: State, digests: list[bytes]) -> bytes:
    if state.order == "map":
        digests = sorted(key + value for key, value in zip(digests[::2], digests[1::2]))
    elif state.order == "set":
        digests = sorted(digests)
    return _hash(f"{state.order} {len(digests)} {state.kind} ".encode("utf-8", "surrogatepass"), *digests)


def _hash(*chunks: Any) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    for chunk in chunks:
        state.update(chunk)
    return state.digest()


def _type_name(thing: Any) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


def plain_digest(thing: Any) -> bytes | None:
    """The digest of a number, a text, bytes, or an array of them; ``None`` for other things."""
    kind = type(thing)
    if thing is None or thing is Ellipsis or thing is NotImplemented or kind is bool:
        return _hash(repr(thing).encode())
    if kind is str or kind is np.str_:
        return _hash(b"text ", thing.encode("utf-8", "surrogatepass"))
    if kind is int:
        return _hash(f"int {thing:x}".encode())
    if kind is float or kind is np.float64:
        return _hash(f"float {float(thing).hex()}".encode())
    if kind is complex:
        return _hash(f"complex {thing.real.hex()} {thing.imag.hex()}".encode())
    if kind is bytes or kind is bytearray or kind is memoryview:
        return _hash(b"bytes ", thing)
    if isinstance(thing, np.ndarray | np.generic) and not isinstance(thing, np.ma.MaskedArray):
        return None if thing.dtype.hasobject or thing.dtype.kind == "T" else array_digest(np.asarray(thing))
    return None


def array_digest(array: np.ndarray) -> bytes:
    """The digest of an array's type, shape and numbers; fields one by one, whatever the order of bytes in memory."""
    if array.dtype.names is not None:
        fields = [chunk for name in array.dtype.names for chunk in (name.encode(), array_digest(array[name]))]
        return _hash(f"record {array.shape} ".encode(), *fields)
    if array.dtype.char in "gG":  # extended precision has unused bytes
        with np.errstate(all="ignore"):
            near = array.astype(np.complex128 if array.dtype.char == "G" else np.float64)
            return _hash(b"extended ", array_digest(near), array_digest((array - near).astype(near.dtype)))
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8) if array.nbytes else b""
    return _hash(f"array {array.dtype.str} {array.shape} ".encode(), content)


def _read_array(thing: Any) -> State | None:
    if isinstance(thing, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(thing)
        shown = np.ma.getdata(thing).copy()
        shown[mask] = np.zeros((), shown.dtype)
        return State("masked array", [mask, shown])
    if isinstance(thing, np.ndarray | np.generic):  # of objects
        array = np.asarray(thing)
        if array.dtype.names is not None:
            return State("record", [part for name in array.dtype.names for part in (name, array[name])])
        return State(f"array of objects {array.shape}", array.ravel().tolist())
    if isinstance(thing, np.dtype):
        return State("dtype", [str(thing.descr if thing.names else thing.str)])
    return _read_tensor(thing) if is_torch_array(thing) else None


def _read_tensor(tensor: Any) -> State:
    """A tensor's type, shape and numbers; not its device, its layout in memory and whether it requires a gradient."""
    import torch

    tensor = tensor.detach()
    kind = f"tensor {tensor.dtype} {tuple(tensor.shape)}"
    if tensor.device.type == "meta":
        return State(f"{kind} without content")
    if tensor.is_quantized:
        scales = [str(tensor.qscheme()), str(tensor.q_scale()) if "tensor" in str(tensor.qscheme()) else ""]
        return State(kind, [*scales, tensor.dequantize(), tensor.int_repr()])
    if tensor.layout is not torch.strided:
        return State(kind, [tensor.to_dense()])
    flat = tensor.cpu().resolve_conj().resolve_neg().contiguous().view(-1)
    return State(kind, [flat.view(torch.uint8).numpy()])


def _read_random(thing: Any) -> State | None:
    if isinstance(thing, np.random.RandomState):
        return State("random state", [thing.get_state(legacy=False)])
    if isinstance(thing, np.random.Generator):
        return State("generator", [thing.bit_generator.state])
    return State("bit generator", [thing.state]) if isinstance(thing, np.random.BitGenerator) else None


def _read_container(thing: Any) -> State | None:
    """Containers by their content; a subclass also by its class and its attributes."""
    kind = type(thing)
    if isinstance(thing, dict | MappingProxyType):
        pairs = [part for pair in (dict.items(thing) if isinstance(thing, dict) else thing.items()) for part in pair]
        state = State("mapping", pairs, "list" if isinstance(thing, OrderedDict) else "map")
        plain = kind in (dict, OrderedDict, MappingProxyType)
        if isinstance(thing, defaultdict):
            state = State("mapping", [State("default", [thing.default_factory]), state])
    elif isinstance(thing, list | tuple | deque):
        state, plain = State("sequence", _packed(thing)), kind in (list, tuple)
    elif isinstance(thing, set | frozenset | type({}.keys())):
        state, plain = State("set", list(thing), "set"), True
    elif isinstance(thing, str | bytes | int | float | complex) and not isinstance(thing, enum.Enum):
        base: Any = next(base for base in (str, bytes, int, float, complex) if isinstance(thing, base))
        state, plain = State("number or text", [base.__new__(base, thing)]), False
    else:
        return None
    return state if plain else State("container", [kind, state, dict(attributes(thing))])


def _packed(items: Sequence[Any]) -> Sequence[Any]:
    """A long list of floats as one array, for speed; other sequences unchanged."""
    if len(items) < 64 or any(type(item) is not float for item in items):
        return list(items)
    return [np.array(items)]


def _read_code(thing: Any) -> State | None:
    if isinstance(thing, FunctionType):
        return function_state(thing)
    if isinstance(thing, CodeType):
        return code_state(thing)
    if isinstance(thing, MethodType):
        return State("method", [thing.__func__, thing.__self__])
    if isinstance(thing, type):
        return class_state(thing)
    if isinstance(thing, ModuleUse):
        return module_state(thing)
    if isinstance(thing, ModuleType):
        return State(f"module {thing.__name__}", unread="" if is_library_module(thing.__name__) else _type_name(thing))
    if isinstance(thing, BuiltinFunctionType | MethodWrapperType):
        owner = thing.__self__
        known = owner is None or isinstance(owner, ModuleType)
        return State(f"built-in {thing.__module__ if known else ''} {thing.__qualname__}", [] if known else [owner])
    if isinstance(thing, np.ufunc):  # np.frompyfunc hides its function
        return State(f"ufunc {thing.__name__}", unread=_type_name(thing) if "(vectorized)" in thing.__name__ else "")
    if isinstance(thing, DESCRIPTORS):
        return State(f"descriptor {thing.__name__}")
    if isinstance(thing, property):
        return State("property", [thing.fget, thing.fset])
    if isinstance(thing, functools.cached_property):
        return State("property", [thing.func])
    if isinstance(thing, staticmethod | classmethod):
        return State(type(thing).__name__, [thing.__func__])
    return State("cached function", [thing.__wrapped__]) if isinstance(thing, CACHED_FUNCTION) else None


def _read_stateless(thing: Any) -> State | None:
    """Locks, weak references and context variables do not change what a function returns."""
    kind = type(thing)
    if kind.__module__ in ("_thread", "threading") and kind.__name__ in LOCKS:
        return State("lock")
    if isinstance(thing, weakref.ref | weakref.WeakKeyDictionary | weakref.WeakValueDictionary | weakref.WeakSet):
        return State("weak reference")
    if isinstance(thing, ContextVar):
        return State("context variable")
    if isinstance(thing, contextlib.ContextDecorator) and hasattr(thing, "gen"):
        return State("context", [getattr(thing, name) for name in ("func", "args", "kwds")])
    return None


def _read_known(thing: Any) -> State | None:
    """The package's own nouns have fingerprints; members of enumerations are named."""
    kind = type(thing)
    if isinstance(thing, enum.Enum):
        return State(f"member {kind.__name__}.{thing.name}", [thing.value])
    if isinstance(thing, State):
        return thing
    if kind.__module__.partition(".")[0] == __name__.partition(".")[0] and isinstance(
        getattr(thing, "fingerprint", None), str
    ):
        partial = kind.__name__ if getattr(thing, "partial_fingerprint", False) else ""
        return State(f"fingerprint {thing.fingerprint}", unread=partial)
    return None


def _read_object(thing: Any) -> State:
    """The attributes of an object of the user's class; of a library's, what it would pickle."""
    kind = type(thing)
    if is_library_class(kind):
        return _reduced(thing)
    parts: list[Any] = [kind, dict(attributes(thing))]
    if not all(base is object or base.__flags__ & HEAP_TYPE for base in kind.__mro__):
        parts.append(_reduced(thing))
    return State("object", parts, unread=_type_name(thing) if _hides_state(thing) else "")


def _hides_state(thing: Any) -> bool:
    """Whether an object of the user's class has state outside its attributes: Python does not pickle it by default."""
    kind = type(thing)
    pickled = ("__reduce_ex__", "__reduce__", "__getstate__")
    if any(getattr(kind, name) is not getattr(object, name) for name in pickled):
        return False
    try:
        thing.__reduce_ex__(4)
    except TypeError:
        return True
    return False


def _reduced(thing: Any) -> State:
    kind = type(thing)
    try:
        special = copyreg.dispatch_table.get(kind)
        reduced: Any = special(thing) if special is not None else thing.__reduce_ex__(4)
    except Exception:  # noqa: BLE001  # any error of the object's own code says that it cannot be pickled
        return State("object", [kind, dict(attributes(thing))], unread=_type_name(thing))
    if isinstance(reduced, str):
        module = str(getattr(thing, "__module__", None) or kind.__module__)
        compiled = "" if is_library_module(module) or module.startswith("numpy") else _type_name(thing)
        return State(f"global {module} {reduced}", unread=compiled)
    make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    state = _without_cached(kind, state) if isinstance(state, Mapping) else state
    mapping = [part for pair in pairs or () for part in pair]
    return State("object", [kind, make, arguments, state, list(items or ()), State("mapping", mapping, "map")])


def attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    """The attributes in an object's dictionary and slots, without the values of cached properties."""
    kind = type(thing)
    own = getattr(thing, "__dict__", None)
    if isinstance(own, Mapping):
        yield from _without_cached(kind, own).items()
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            private = name.startswith("__") and not name.endswith("__")
            found = f"_{base.__name__.lstrip('_')}{name}" if private else name
            if found not in ("__dict__", "__weakref__") and hasattr(thing, found):
                yield found, getattr(thing, found)


def _without_cached(kind: type, own: Mapping[Any, Any]) -> dict[Any, Any]:
    cached = _cached_names(kind)
    return {name: value for name, value in own.items() if name not in cached} if cached else dict(own)


@functools.lru_cache(4096)
def _cached_names(kind: type) -> frozenset[str]:
    members = [pair for base in kind.__mro__ for pair in vars(base).items()]
    return frozenset(name for name, value in members if isinstance(value, functools.cached_property))


RULES: tuple[Reader, ...] = (
    _read_known,
    _read_array,
    _read_container,
    _read_code,
    _read_random,
    _read_stateless,
    _read_object,
)
