"""Bayesian flow networks without a code (arXiv 2308.07037): what a code costs in likelihood and samples."""

from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from paramrel.data import DataSet
from paramrel.errors import Unsupported
from paramrel.flows import Flow
from paramrel.method import Codes, LossTerms, Nll, Swap
from paramrel.methods._kinds import (
    DiscreteSettings,
    GaussianSettings,
    continuous_flow,
    discrete_flow,
    discretised_flow,
    not_continuous,
    not_discrete,
    not_discretised,
)
from paramrel.methods._over_flow import FlowConfig, FlowMethod
from paramrel.networks import UNet
from paramrel.rng import Rng
from paramrel.sampling import ancestral
from paramrel.settings import Network

B = TypeVar("B", bound=FlowConfig)


class Bfn(FlowMethod[B]):
    """The decoder of ParamReL over the same flow, with zeros in place of a code, in training and after it.

    Times and preconditioning are ParamReL's settings. Unlike the BFN paper's networks: this suite's U-Net and
    ``parametrisation: mix``.
    """

    no_code: ClassVar[str] = "it has no code"
    source = "A. Graves, R. K. Srivastava, T. Atkinson, F. Gomez, arXiv 2308.07037"

    def __init__(self, data: DataSet, net: Network, config: B) -> None:
        super().__init__(data, net, config)
        _, n_in, n_out = self.flow.channels(data.shape[0])
        self.decoder = UNet(n_in, n_out, net)

    def loss(self, batch: Tensor, rng: Rng) -> LossTerms:
        """The continuous-time loss at u (``Flow.loss``, arXiv 2308.07037, Eqs. 101 and 205), or the weighted squared
        error of ``times``; over D. Reported in nats per image."""
        x, uniform = self.flow.to_flow(batch), rng.stratified("u", len(batch))
        u = uniform if self.times is None else self.times.draw(uniform)
        output = self._output(self.flow.sample(x, u, rng.at("theta")), u, self._nothing(u))
        if self.times is None:
            flow = self.flow.loss(x, output, u).flatten(1).sum(1)
        else:
            weight = self.times.weight(u, torch.zeros_like(u, dtype=torch.bool))
            flow = weight * self.flow.squared_error(x, output).flatten(1).sum(1)
        term = "flow" if self.times is None else self.times.term
        return LossTerms(flow.mean() / self.data.n_dims, {term: flow.mean().detach()})

    def sample(self, n: int, rng: Rng, n_steps: int) -> Tensor:
        """Ancestral samples (arXiv 2308.07037, Algorithms 3, 6 and 9)."""
        shape = (n, *self.data.shape)
        return ancestral(self.flow, self._output, lambda step, theta, u: self._nothing(u), shape, rng, n_steps)

    def nll(self, x: Tensor, rng: Rng) -> Nll:
        """Continuous-time flow loss (one stratified time per image) plus reconstruction at u = 1; no code, no KL."""
        x = self.flow.to_flow(x)
        u, one = rng.stratified("u", len(x)), torch.ones(len(x), device=x.device)
        theta_u, theta_1 = self.flow.sample(x, u, rng.at("theta")), self.flow.sample(x, one, rng.at("theta 1"))
        reconstruction = self.flow.reconstruction_nll(x, self._output(theta_1, one, self._nothing(one)))
        flow = self.flow.loss(x, self._output(theta_u, u, self._nothing(u)), u)
        data = flow.flatten(1).sum(1) + reconstruction.flatten(1).sum(1)
        return Nll(data, torch.zeros_like(data))

    def encode(self, x: Tensor) -> Codes:
        raise Unsupported(self.no_code)

    def encode_at(self, x: Tensor, s: float, rng: Rng) -> Codes:
        raise Unsupported(self.no_code)

    def decode(self, z: Tensor) -> Tensor:
        raise Unsupported(self.no_code)

    def generate(self, z: Tensor, rng: Rng, n_steps: int) -> Tensor:
        raise Unsupported(self.no_code)

    def attention(self, x: Tensor, rng: Rng) -> Tensor:
        raise Unsupported(self.no_code)

    def decoder_loss(self, x: Tensor, swap: Swap, rng: Rng) -> dict[str, Tensor]:
        raise Unsupported(self.no_code)

    @property
    def no_subcode(self) -> str:
        return self.no_code

    def _nothing(self, u: Tensor) -> Tensor:
        """Zeros in place of codes, (N, d)."""
        return torch.zeros(len(u), self.net.latent_dim, device=u.device)


class BfnC(Bfn[GaussianSettings]):
    """Delta output: the network estimates x itself."""

    name = "bfn_c"
    title = "BFN (continuous)"
    Config = GaussianSettings

    @classmethod
    def skip(cls, data: DataSet) -> str | None:
        return not_continuous(data, "bfn") or super().skip(data)

    def make_flow(self, data: DataSet, config: GaussianSettings) -> Flow:
        return continuous_flow(data, config, self.models)


class BfnDiscretised(Bfn[GaussianSettings]):
    """Output: a Normal per pixel, put into the data's K bins."""

    name = "bfn_discretised"
    title = "BFN (discretised)"
    Config = GaussianSettings

    @classmethod
    def skip(cls, data: DataSet) -> str | None:
        return super().skip(data) or not_discretised(data, "bfn")

    def make_flow(self, data: DataSet, config: GaussianSettings) -> Flow:
        return discretised_flow(data, config, self.models)


class BfnD(Bfn[DiscreteSettings]):
    """Categorical output over K classes per pixel."""

    name = "bfn_d"
    title = "BFN (discrete)"
    Config = DiscreteSettings

    @classmethod
    def skip(cls, data: DataSet) -> str | None:
        return super().skip(data) or not_discrete(data, "bfn")

    def make_flow(self, data: DataSet, config: DiscreteSettings) -> Flow:
        return discrete_flow(data, config, self.models)
