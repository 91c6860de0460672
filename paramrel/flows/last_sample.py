"""A flow that forgets: the ablation of the Bayesian update."""

from typing import Any, NoReturn

import torch
from torch import Tensor

from paramrel.errors import Unsupported
from paramrel.flows._base import Flow, Output
from paramrel.rng import Rng


def _own(name: str) -> Any:
    """The method of that name of ``self.flow``, unchanged."""
    return property(lambda self: getattr(self.flow, name))


class LastSample(Flow):
    """``flow`` whose networks see the last sender sample, in place of the theta that all of them add up to.

    Of ``n`` steps of equal length the last one before u has accuracy beta(u) - beta(u - 1/n), and what it says is what
    ``flow`` says at the earlier time that has so much accuracy (``heard``). Between two steps the window slides.
    Losses keep the weight of their u: a receiver that reads only the last sample is a receiver, so the loss is a
    bound too, a worse one. Up to u = 1/n it is the flow itself. There is no ODE, since v at u does not lead on to v
    later: no subcode, no deterministic round trip.
    """

    def __init__(self, flow: Flow, n: int) -> None:
        self.flow, self.n = flow, n

    def heard(self, u: Tensor) -> Tensor:
        """The time (N,) at which ``flow`` has the accuracy of the last sample before u."""
        return self.flow.time_at(self.flow.beta(u) - self.flow.beta((u - 1 / self.n).clamp_min(0)))

    # What differs: a state at u is one of ``flow`` at the time that was heard.

    def mean_state(self, x: Tensor, u: Tensor) -> Tensor:
        return self.flow.mean_state(x, self.heard(u))

    def sample(self, x: Tensor, u: Tensor, rng: Rng) -> Tensor:
        return self.flow.sample(x, self.heard(u), rng)

    def noise_free(self, images: Tensor, u: Tensor) -> Tensor:
        return self.flow.noise_free(images, self.heard(u))

    def decoder_input(self, state: Tensor, u: Tensor) -> Tensor:
        return self.flow.decoder_input(state, self.heard(u))

    def output(self, out: Tensor, state: Tensor, u: Tensor) -> Output:
        return self.flow.output(out, state, self.heard(u))

    def update(self, state: Tensor, y: Tensor, beta: Tensor | float, alpha: Tensor | float) -> Tensor:
        """y alone: the update of the prior."""
        return self.flow.update(torch.zeros_like(state), y, 0.0, alpha)

    def continue_path(self, state: Tensor, x: Tensor, u: Tensor, s: Tensor, rng: Rng) -> Tensor:
        """The last sample before s; ``state`` is forgotten."""
        return self.sample(x, s, rng)

    def alpha(self, i: int, n: int) -> float | Tensor:
        """Raises ``Unsupported`` for another number of steps than ``n``: the networks know no other samples."""
        if n != self.n:
            raise Unsupported(f"update: last_sample was trained for {self.n} steps (n_updates), not for {n}")
        return self.flow.alpha(i, n)

    @property
    def has_ode(self) -> bool:
        return False

    def to_v(self, state: Tensor, u: Tensor) -> NoReturn:
        raise Unsupported("update: last_sample has no ODE")

    def from_v(self, v: Tensor, u: Tensor) -> NoReturn:
        raise Unsupported("update: last_sample has no ODE")

    # What stays is the flow's own.
    to_flow = _own("to_flow")
    to_images = _own("to_images")
    channels = _own("channels")
    beta = _own("beta")
    time_at = _own("time_at")
    prior = _own("prior")
    send = _own("send")
    network_input = _own("network_input")
    expectation = _own("expectation")
    mode = _own("mode")
    draw = _own("draw")
    loss = _own("loss")
    squared_error = _own("squared_error")
    error_weight = _own("error_weight")
    reconstruction_nll = _own("reconstruction_nll")
    direction = _own("direction")
