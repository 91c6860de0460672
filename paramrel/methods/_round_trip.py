"""The deterministic way from an image to its subcode and back, at a fixed code (docs/round_trip.md)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from paramrel.flows import Flow
from paramrel.rng import Rng
from paramrel.sampling import Decode, integrate

ITERATIONS = 4
"""Fixed-point iterations per step of ``invert`` (docs/round_trip.md)."""
REDRAWS = 20
"""Most draws of ``start`` for one pixel."""


@dataclass(frozen=True)
class RoundTrip:
    """Inversion and rendering by the probability-flow ODE of ``flow``, with a decoder.

    Eq. 5 of the ParamReL paper (arXiv 2405.15268) loses x or leaks it; this stands in its place.
    """

    flow: Flow
    decode: Decode
    seen: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    """theta and u (N,) to what the decoder sees of them."""

    def invert(self, x: Tensor, z: Tensor, rng: Rng, n_steps: int) -> Tensor:
        """v at u = 0 of images x in [0, 1], (N, ...): every Heun step of ``render`` undone by fixed-point iteration."""
        v = self.start(x, z, rng)
        return integrate(self.flow, self.decode, v, z, 1.0, 0.0, n_steps, fixed_point=ITERATIONS)

    def render(self, z: Tensor, subcode: Tensor, n_steps: int) -> Tensor:
        """The ODE forwards (Heun), then what is read at u = 1, moved to the nearest of the data's values: images in
        [0, 1]."""
        v = integrate(self.flow, self.decode, subcode, z, 0.0, 1.0, n_steps)
        return self.flow.to_images(self.read(v, z))

    def start(self, x: Tensor, z: Tensor, rng: Rng) -> Tensor:
        """v at u = 1: the noise-free one of x plus N(0, I), what the ODE carries to N(0, I) at u = 0.

        Noise from which another value would be read than the pixel has is drawn again, so that the round trip
        returns x. Without noise the subcode of quantised data is not Gaussian. Where a flow does not tell the
        values apart (``Flow.resolves``) nothing is drawn again.
        """
        x, one = self.flow.to_flow(x), torch.ones(len(x), device=x.device)
        clean = self.flow.to_v(self.flow.mean_state(x, one), one)
        v = clean + rng.normal("v", tuple(clean.shape))
        for i in range(REDRAWS if self.flow.resolves else 0):
            wrong = self.flow.misread(x, self.read(v, z))
            if not wrong.any():
                break
            v = torch.where(wrong, clean + rng.normal(f"v {i}", tuple(clean.shape)), v)
        return v

    def read(self, v: Tensor, z: Tensor) -> Tensor:
        """What v at u = 1 and the decoder make of each pixel, in the flow's values (``Flow.read``)."""
        one = torch.ones(len(z), device=z.device)
        theta, u = self.seen(self.flow.from_v(v, one), one)
        return self.flow.quantise(self.flow.read(theta, self.decode(theta, u, z)))
