"""Bayesian flow over channels of different types: each group of channels has a flow of its own, time is common."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from paramrel.flows._base import Flow, Output
from paramrel.flows.discrete import DiscreteFlow
from paramrel.rng import Rng


@dataclass(frozen=True)
class Part:
    """Channels of x that share a flow."""

    flow: Flow
    channels: tuple[int, ...]


@dataclass(frozen=True)
class MixedFlow(Flow):
    """Flows of several types side by side over x (N, C, H, W), the columns of a table with H = W = 1.

    x is float, in each channel the values of its part (class indices as floats); losses are in the order of x's
    channels. State, v, network inputs and network output are the parts' own, one part after another along axis 1:
    (N, S, H, W). A part whose state is (N, c, H, W, K) takes c K channels, class after class.

    Given u the channels are independent, so every loss is that of the parts and the bound of the whole is their sum;
    what ties channels together is the network, which sees all of them. The accuracies differ from part to part:
    ``beta``, ``alpha`` and ``kappa`` are tensors with one value for each channel of the state (of v), which broadcast
    where the other flows have numbers. The probability-flow ODE is then dv_i/dkappa_i = xhat_i in common time u.
    Part i draws from the stream ``rng.at(i)``.
    """

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        order = sorted(channel for part in self.parts for channel in part.channels)
        if order != list(range(len(order))):
            raise ValueError(f"the parts must have every channel once, got {order}")

    def to_flow(self, images: Tensor) -> Tensor:
        return self._join([part.flow.to_flow(images[:, list(part.channels)]).float() for part in self.parts])

    def to_images(self, x: Tensor) -> Tensor:
        return self._join([part.flow.to_images(own) for part, own in self._values(x)])

    def channels(self, n_colours: int) -> tuple[int, int, int]:
        """The parts' sums; ``n_colours`` is the number of columns."""
        if n_colours != len(self._order):
            raise ValueError(f"{n_colours} channels, but the parts have {len(self._order)}")
        seen, decoder, out = (sum(widths) for widths in zip(*self._channels, strict=True))
        return seen, decoder, out

    def beta(self, u: Tensor) -> Tensor:
        """(N, S, 1, 1): every channel of the state has its own."""
        return self._spread([part.flow.beta(u) for part in self.parts], self._state_widths)

    def alpha(self, i: int, n: int) -> Tensor:
        """(1, S, 1, 1), likewise."""
        return self._spread([torch.tensor([part.flow.alpha(i, n)]) for part in self.parts], self._state_widths)

    def kappa(self, u: Tensor) -> Tensor:
        """(N, V, 1, 1): every channel of v has its own."""
        return self._spread([part.flow.kappa(u) for part in self.parts], self._v_widths)

    def prior(self, shape: tuple[int, ...], device: torch.device | None = None) -> Tensor:
        return torch.zeros(shape[0], sum(self._state_widths), *shape[2:], device=device)

    def mean_state(self, x: Tensor, u: Tensor) -> Tensor:
        return _pack([part.flow.mean_state(own, u) for part, own in self._values(x)])

    def sample(self, x: Tensor, u: Tensor, rng: Rng) -> Tensor:
        return _pack([part.flow.sample(own, u, rng.at(i)) for i, (part, own) in enumerate(self._values(x))])

    def send(self, x: Tensor, alpha: Tensor | float, rng: Rng) -> Tensor:
        """y in the layout of the state; alpha a number for all or (..., S, 1, 1)."""
        values = zip(self._values(x), self._accuracies(alpha, x.device), strict=True)
        return _pack([part.flow.send(own, a, rng.at(i)) for i, ((part, own), a) in enumerate(values)])

    def update(self, state: Tensor, y: Tensor, beta: Tensor | float, alpha: Tensor | float) -> Tensor:
        return _pack([part.flow.update(*own) for part, own in self._evidence(state, y, beta, alpha)])

    def continue_path(self, state: Tensor, x: Tensor, u: Tensor, s: Tensor, rng: Rng) -> Tensor:
        pairs = zip(self._states(state), self._values(x), strict=True)
        return _pack([part.flow.continue_path(own, x_i, u, s, rng.at(i)) for i, (own, (part, x_i)) in enumerate(pairs)])

    def network_input(self, state: Tensor) -> Tensor:
        return torch.cat([part.flow.network_input(own) for part, own in self._with_states(state)], 1)

    def decoder_input(self, state: Tensor, u: Tensor) -> Tensor:
        return torch.cat([part.flow.decoder_input(own, u) for part, own in self._with_states(state)], 1)

    def output(self, out: Tensor, state: Tensor, u: Tensor) -> tuple[Output, ...]:
        """Each part's output distribution."""
        outs = out.split([widths[2] for widths in self._channels], 1)
        pairs = zip(self._with_states(state), outs, strict=True)
        return tuple(part.flow.output(out, own, u) for (part, own), out in pairs)

    def expectation(self, output: tuple[Output, ...]) -> Tensor:
        return self._join([part.flow.expectation(own) for part, own in zip(self.parts, output, strict=True)])

    def mode(self, output: tuple[Output, ...]) -> Tensor:
        return self._join([part.flow.mode(own).float() for part, own in zip(self.parts, output, strict=True)])

    def read(self, state: Tensor, output: tuple[Output, ...]) -> Tensor:
        pairs = zip(self._with_states(state), output, strict=True)
        return self._join([part.flow.read(own, out).float() for (part, own), out in pairs])

    def draw(self, output: tuple[Output, ...], rng: Rng) -> Tensor:
        pairs = enumerate(zip(self.parts, output, strict=True))
        return self._join([part.flow.draw(own, rng.at(i)).float() for i, (part, own) in pairs])

    @property
    def resolves(self) -> bool:
        """Whether any part does; ``misread`` knows which."""
        return any(part.flow.resolves for part in self.parts)

    def quantise(self, x: Tensor) -> Tensor:
        return self._join([part.flow.quantise(own).float() for part, own in self._values(x)])

    def misread(self, x: Tensor, read: Tensor) -> Tensor:
        """(N, V, H, W). Of a part that does not resolve its values nothing counts as misread."""
        wrong = []
        for (part, x_i), (_, read_i), shape in zip(self._values(x), self._values(read), self._v_shapes, strict=True):
            own = part.flow.misread(x_i, read_i) & part.flow.resolves
            wrong.append(own.expand(*own.shape[:4], *shape[1:]))
        return _pack(wrong)

    def loss(self, x: Tensor, output: tuple[Output, ...], u: Tensor, hidden: Tensor | None = None) -> Tensor:
        pairs = zip(self._values(x), output, strict=True)
        return self._join([part.flow.loss(x_i, own, u, hidden) for (part, x_i), own in pairs])

    def squared_error(self, x: Tensor, output: tuple[Output, ...]) -> Tensor:
        pairs = zip(self._values(x), output, strict=True)
        return self._join([part.flow.squared_error(x_i, own) for (part, x_i), own in pairs])

    def reconstruction_nll(self, x: Tensor, output: tuple[Output, ...]) -> Tensor:
        pairs = zip(self._values(x), output, strict=True)
        return self._join([part.flow.reconstruction_nll(x_i, own) for (part, x_i), own in pairs])

    def to_v(self, state: Tensor, u: Tensor) -> Tensor:
        return _pack([part.flow.to_v(own, u) for part, own in self._with_states(state)])

    def from_v(self, v: Tensor, u: Tensor) -> Tensor:
        pieces = zip(self.parts, _unpack(v, self._v_shapes), strict=True)
        return _pack([part.flow.from_v(own, u) for part, own in pieces])

    def direction(self, output: tuple[Output, ...]) -> Tensor:
        return _pack([part.flow.direction(own) for part, own in zip(self.parts, output, strict=True)])

    @cached_property
    def _order(self) -> list[int]:
        """Where each channel of x stands among the parts' channels, one part after another."""
        joined = [channel for part in self.parts for channel in part.channels]
        return sorted(range(len(joined)), key=joined.__getitem__)

    @cached_property
    def _channels(self) -> list[tuple[int, int, int]]:
        return [part.flow.channels(len(part.channels)) for part in self.parts]

    @cached_property
    def _state_shapes(self) -> list[tuple[int, ...]]:
        """(c,) or (c, K) of each part's state."""
        return [_shape(part.flow.prior((1, len(part.channels), 1, 1))) for part in self.parts]

    @cached_property
    def _v_shapes(self) -> list[tuple[int, ...]]:
        one = torch.ones(1)
        return [_shape(p.flow.to_v(p.flow.prior((1, len(p.channels), 1, 1)), one)) for p in self.parts]

    @property
    def _state_widths(self) -> list[int]:
        return _widths(self._state_shapes)

    @property
    def _v_widths(self) -> list[int]:
        return _widths(self._v_shapes)

    def _join(self, pieces: list[Tensor]) -> Tensor:
        """The parts' (N, c, H, W) in the order of x's channels."""
        return torch.cat(pieces, 1)[:, self._order]

    def _values(self, x: Tensor) -> list[tuple[Part, Tensor]]:
        """Each part with its channels of x, in its own values."""
        pieces = ((part, x[:, list(part.channels)]) for part in self.parts)
        return [(part, own.long() if isinstance(part.flow, DiscreteFlow) else own) for part, own in pieces]

    def _states(self, state: Tensor) -> list[Tensor]:
        return _unpack(state, self._state_shapes)

    def _with_states(self, state: Tensor) -> list[tuple[Part, Tensor]]:
        return list(zip(self.parts, self._states(state), strict=True))

    def _evidence(self, state: Tensor, y: Tensor, *accuracies: Tensor | float) -> list[tuple[Part, tuple[Any, ...]]]:
        """Each part with its state, y and accuracies."""
        split = [self._accuracies(accuracy, state.device) for accuracy in accuracies]
        own = zip(self._states(state), self._states(y), *split, strict=True)
        return list(zip(self.parts, own, strict=True))

    def _accuracies(self, accuracy: Tensor | float, device: torch.device) -> Sequence[Tensor | float]:
        """Each part's accuracy: a number is everyone's, a tensor is in the layout of the state."""
        if not isinstance(accuracy, Tensor) or accuracy.numel() == 1:
            return [accuracy] * len(self.parts)
        return _unpack(accuracy.to(device), self._state_shapes)

    def _spread(self, values: list[Tensor], widths: list[int]) -> Tensor:
        """Each part's (N,) to all of its channels: (N, S, 1, 1)."""
        pieces = [value[:, None].expand(-1, width) for value, width in zip(values, widths, strict=True)]
        return torch.cat(pieces, 1)[:, :, None, None]


def _shape(piece: Tensor) -> tuple[int, ...]:
    """(c,) of (N, c, H, W); (c, K) of (N, c, H, W, K)."""
    return (piece.shape[1], *piece.shape[4:])


def _widths(shapes: list[tuple[int, ...]]) -> list[int]:
    return [math.prod(shape) for shape in shapes]


def _pack(pieces: list[Tensor]) -> Tensor:
    """The parts' (N, c, H, W) or (N, c, H, W, K), one after another: (N, S, H, W)."""
    return torch.cat([p if p.ndim == 4 else p.movedim(-1, 2).flatten(1, 2) for p in pieces], 1)


def _unpack(packed: Tensor, shapes: list[tuple[int, ...]]) -> list[Tensor]:
    """The way back of ``_pack``."""
    pieces = packed.split(_widths(shapes), 1)
    return [
        piece if len(shape) == 1 else piece.unflatten(1, shape).movedim(2, -1)
        for piece, shape in zip(pieces, shapes, strict=True)
    ]
