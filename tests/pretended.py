"""A pretended GPU: torch's fake tensors, which have a shape, a type and a device, and no numbers.

They refuse what a GPU refuses, tensors of two devices in one operation, and whatever needs a number from the device
(``item``, ``unique``, a mask as an index): there a GPU would be waited for. Generators are checked here.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.cuda.amp.common
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from paramrel.rng import Rng

CUDA = torch.device("cuda:0")
NOT_DETERMINISTIC = {
    "histc", "index_reduce", "kthvalue", "max_unpool2d", "median", "put", "scatter_reduce",
}  # fmt: skip
NOT_DETERMINISTIC_BACKWARD = {
    "AdaptiveAvgPool2DBackward0", "AdaptiveMaxPool2DBackward0", "CdistBackward0", "GridSampler2DBackward0",
    "NllLoss2DBackward0", "ReflectionPad1DBackward0", "ReflectionPad2DBackward0", "UpsampleBicubic2DBackward0",
    "UpsampleBilinear2DBackward0", "UpsampleLinear1DBackward0",
}  # fmt: skip
"""What refuses to run on CUDA after ``torch.use_deterministic_algorithms`` (its documentation has the whole lists)."""


NUMBERS = [getattr(torch.Tensor, name) for name in ("numpy", "item", "tolist", "__float__", "__int__", "__bool__")]


class CudaGenerator(torch.Generator):
    """A generator that is called one of the GPU."""


class Calls(TorchFunctionMode):
    """Refuses draws on one device from a generator of the other, and does what fake tensors cannot: ``torch.tensor`` on
    the GPU, and numbers of tensors: zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = False
        """Whether numbers may be asked of the GPU: between steps, not within."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            return func(*args, **kwargs | {"device": "cpu"}).to(kwargs["device"])
        if func.__name__.removesuffix("_") in NOT_DETERMINISTIC:
            raise RuntimeError(f"{func.__name__} has no deterministic kernel")
        if func in NUMBERS:
            if args[0].device.type == "cuda" and not (self.waits and func is not torch.Tensor.numpy):
                raise RuntimeError(f"{func.__name__} of a tensor on the GPU waits for it")
            zeros = np.zeros(args[0].shape, str(args[0].dtype).removeprefix("torch."))
            return zeros if func is torch.Tensor.numpy else getattr(zeros, func.__name__)()
        out = func(*args, **kwargs)
        generator = kwargs.get("generator")
        if generator is not None and isinstance(generator, CudaGenerator) != (out.device.type == "cuda"):
            raise RuntimeError(f"{func.__name__}: a generator of another device than {out.device}")
        return out


def pretended_backward(total: torch.Tensor) -> None:
    """In place of ``Tensor.backward``, whose threads want a real GPU: walks the graph, refuses what has no
    deterministic kernel, and gives every parameter that is met a gradient."""
    seen, left = set(), [total.grad_fn]
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.name() in NOT_DETERMINISTIC_BACKWARD:
            raise RuntimeError(f"{node.name()} has no deterministic kernel")
        if hasattr(node, "variable"):
            node.variable.grad = torch.zeros_like(node.variable)
        left += [before for before, _ in node.next_functions]


@contextlib.contextmanager
def pretended_gpu(monkeypatch: Any) -> Iterator[Calls]:
    """Within, tensors are fake and those ``.to("cuda")`` are on a GPU. Modules must be made before."""
    draw = Rng.generator

    def generator(self: Rng, name: str) -> torch.Generator:
        made = draw(Rng(self.key), name)
        return CudaGenerator().manual_seed(made.initial_seed()) if self.device.type == "cuda" else made

    monkeypatch.setattr(Rng, "generator", generator)
    monkeypatch.setattr(torch.Tensor, "backward", pretended_backward)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with Calls() as calls, FakeTensorMode(allow_non_fake_inputs=True):
            yield calls
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)
