"""A device that is none: it computes on the CPU, and is as strict as a GPU about what lies where.

Import it, and torch knows a device called `pretend`. A tensor there is no tensor of the CPU: an operation that takes
both is refused, as is one that draws from a generator of the wrong device, and NumPy does not see it. So a machine
without a GPU can show that code moves everything that it needs, and moves it back.

It changes torch for the whole process: import it in a process of its own.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "pretend"
operations: Counter[str] = Counter()
"""How often each operation has computed something there."""

_MOVES = {"aten._to_copy.default", "aten.copy_.default"}
"""What may take tensors of two devices."""
_REAL = torch.Generator
_generators: dict[int, torch.Generator] = {}  # those of the device, by where they lie in memory; never freed


class _Backend(_DummyBackendModule):
    """What torch asks a device about."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


_setup_privateuseone_for_python_backend(NAME, backend_module=_Backend())
DEVICE = torch.device(NAME, 0)


class Pretended(Tensor):
    """A tensor of the device: `held` has its numbers, out of sight."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Pretended:
        made: Pretended = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override] # torch declares it without its first argument
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _compute(function, args, kwargs or {})

    def tolist(self) -> Any:
        return self.held.tolist()

    def numpy(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("this tensor is on a device that NumPy cannot see")

    __array__ = numpy


class _Instances(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _REAL)


class _Generator(metaclass=_Instances):
    """Makes generators of the CPU, and remembers which of them are called the device's: it has none of its own."""

    def __new__(cls, device: torch.device | str = "cpu") -> Any:
        made = _REAL()
        if torch.device(device).type == NAME:
            _generators[made._cdata] = made  # type: ignore[attr-defined] # torch does not declare it
        return made


def _compute(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute on what the tensors hold.

    Raises:
        RuntimeError: they are on two devices, or the generator is on another.
    """
    name, target = str(function), kwargs.get("device")
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    own = {id(tensor.held): tensor for tensor in tensors if isinstance(tensor, Pretended)}
    here = torch.device(target).type == NAME if target is not None else bool(own)
    if name not in _MOVES:
        strangers = [tensor for tensor in tensors if not isinstance(tensor, Pretended) and tensor.dim()]
        if own and strangers:
            raise RuntimeError(f"{name} takes tensors of two devices: {[str(tensor.device) for tensor in tensors]}")
        generator = kwargs.get("generator")
        if generator is not None and here != (generator._cdata in _generators):
            raise RuntimeError(f"{name} draws from a generator of another device")
    operations[name] += here
    kept = {key: value for key, value in kwargs.items() if key != "pin_memory"}
    if target is not None:
        kept["device"] = "cpu"
    args, kept = tree_map(lambda leaf: leaf.held if isinstance(leaf, Pretended) else leaf, (args, kept))

    def wrap(found: Any) -> Any:
        return own.get(id(found), Pretended(found)) if isinstance(found, Tensor) and here else found

    return tree_map(wrap, function(*args, **kept))


_library = torch.library.Library("_", "IMPL", "PrivateUse1")  # type: ignore[no-untyped-call] # it registers for as long as it lives
_library.fallback(lambda operation, *args, **kwargs: _compute(operation, args, kwargs))  # type: ignore[no-untyped-call]
for _name in ("arange", "arange.start", "arange.start_step"):  # torch's own begins with an empty tensor, and resizes it
    _operation = getattr(torch.ops.aten.arange, _name.partition(".")[2] or "default")
    torch.library.impl(f"aten::{_name}", "PrivateUse1")(
        lambda *args, _operation=_operation, **kwargs: _compute(_operation, args, {**kwargs, "device": DEVICE})
    )
torch.Generator = _Generator  # type: ignore[assignment, misc]
