"""Which state of the flow a code is read from: in training, and in the bound."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from paramrel.flows import Flow
from paramrel.rng import Rng


class CodeSource(ABC):
    """theta_s and s in [0, 1] for codes q(z | theta_s, s), where the decoder sees theta_u of the same x."""

    internal: ClassVar[bool] = False
    """Whether the code is made of theta_u alone: noise of the receiver, of which the bound needs no KL."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow

    @abstractmethod
    def draw(self, x: Tensor, theta: Tensor, u: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """theta_s and s (N,), for x in the flow's values and ``theta``, its state at u (N,)."""

    def draw_one(self, x: Tensor, rng: Rng) -> Tensor:
        """The theta_1 (N, ...) of the one code that serves all u in the bound.

        It is a theta_1 of its own: given x, the code is independent of the flow that it decodes.
        """
        return self.flow.sample(x, torch.ones(len(x), device=x.device), rng.at("theta of z"))


class Own(CodeSource):
    """s = u: the code is read from the theta that the decoder sees, as published."""

    internal = True

    def draw(self, x: Tensor, theta: Tensor, u: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        return theta, u


class Later(CodeSource):
    """s ~ U(u, 1), or s = 1 with ``at_data``. theta_s is a second flow sample of x; ``joint``: it continues the path of
    theta_u."""

    def __init__(self, flow: Flow, *, at_data: bool, joint: bool) -> None:
        super().__init__(flow)
        self.at_data, self.joint = at_data, joint

    def draw(self, x: Tensor, theta: Tensor, u: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        s = torch.ones_like(u) if self.at_data else u + (1 - u) * rng.uniform("s", (len(u),))
        if self.joint:
            return self.flow.continue_path(theta, x, u, s, rng.at("ahead")), s
        return self.flow.sample(x, s, rng.at("ahead")), s


class Clean(CodeSource):
    """s = 1 without noise: q(z | x), a control."""

    def draw(self, x: Tensor, theta: Tensor, u: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        one = torch.ones_like(u)
        return self.flow.mean_state(x, one), one

    def draw_one(self, x: Tensor, rng: Rng) -> Tensor:
        return self.flow.mean_state(x, torch.ones(len(x), device=x.device))


def code_source(flow: Flow, z_source: Literal["self", "ahead", "data"], *, joint: bool, static: bool) -> CodeSource:
    """The source that the settings ask for; ``static`` overrules ``z_source``."""
    if static:
        return Clean(flow)
    if z_source == "self":
        return Own(flow)
    return Later(flow, at_data=z_source == "data", joint=joint)
