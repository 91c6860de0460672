"""Bayesian flows with a Gaussian input distribution: continuous and discretised data (BFN paper, sections 4, 5)."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from paramrel.flows._base import Flow, Output, expand
from paramrel.likelihoods import binned_gaussian_nll
from paramrel.rng import Rng
from paramrel.spectrum import Spectrum

Parametrisation = Literal["eps", "x", "mix"]
U_MIN = 1e-6
"""Below it the output of ``eps`` is the prior's, as in the official BFN code."""


@dataclass(frozen=True)
class GaussianFlow(Flow):
    """Flow over x in [-1, 1]; the state is the mean mu of theta, of the shape of x.

    Its precision is rho = 1 + beta(u), beta(u) = sigma_1^(-2u) - 1 (BFN Eq. 72), and gamma(u) = beta/(1 + beta) =
    1 - sigma_1^(2u). The images' K values lie evenly spaced at ``centres`` (in [0, 1]).

    ``parametrisation``, what the network's output ``out`` means for the estimate of x:
    eps: mu/gamma - sqrt((1 - gamma)/gamma) out (BFN Eq. 78; Eq. 10 of the ParamReL paper has the other sign), and 0
    where u < 1e-6: there nothing but theta is decoded. x: out. mix (ours): mu + sqrt(1 - gamma) out, well
    conditioned at both ends, and at u = 0 the output itself, so that codes can be decoded alone. With ``output_model``
    it is mix in the units of that model (``Spectrum.estimate``).
    """

    sigma_1: float
    centres: tuple[float, ...]
    parametrisation: Parametrisation = "mix"
    input_model: Spectrum | None = None
    """A Gaussian model of the images, whose estimate of x is a further input of the decoder."""
    output_model: Spectrum | None = None
    """A Gaussian model of the images, from whose estimate of x the output is measured, in units of its deviation."""

    def to_flow(self, images: Tensor) -> Tensor:
        return 2 * images - 1

    def to_images(self, x: Tensor) -> Tensor:
        return (x + 1) / 2

    def beta(self, u: Tensor) -> Tensor:
        return torch.expm1(-2 * math.log(self.sigma_1) * u)

    def time_at(self, beta: Tensor) -> Tensor:
        return torch.log1p(beta) / (-2 * math.log(self.sigma_1))

    def gamma(self, u: Tensor) -> Tensor:
        """gamma(u) = 1 - sigma_1^(2u) (BFN Eq. 80)."""
        return -torch.expm1(2 * math.log(self.sigma_1) * u)

    def variance(self, u: Tensor) -> Tensor:
        """1 - gamma(u) = sigma_1^(2u) = 1/rho, by itself: the difference would lose its digits near u = 1."""
        return torch.exp(2 * math.log(self.sigma_1) * u)

    def alpha(self, i: int, n: int) -> float:
        """Accuracy of step i = 1..n: sigma_1^(-2i/n) (1 - sigma_1^(2/n)) (BFN Eq. 95)."""
        return self.sigma_1 ** (-2 * i / n) * -math.expm1(2 / n * math.log(self.sigma_1))

    def prior(self, shape: tuple[int, ...], device: torch.device | None = None) -> Tensor:
        """mu_0 = 0."""
        return torch.zeros(*shape, device=device)

    def mean_state(self, x: Tensor, u: Tensor) -> Tensor:
        """gamma(u) x."""
        return expand(self.gamma(u), x) * x

    def sample(self, x: Tensor, u: Tensor, rng: Rng) -> Tensor:
        """mu_u = gamma x + sqrt(gamma (1 - gamma)) eps (BFN Eq. 77)."""
        gamma, variance = expand(self.gamma(u), x), expand(self.variance(u), x)
        return gamma * x + (gamma * variance).sqrt() * rng.normal("eps", tuple(x.shape))

    def send(self, x: Tensor, alpha: Tensor | float, rng: Rng) -> Tensor:
        """y ~ N(x, 1/alpha) (BFN Eq. 86)."""
        return x + torch.as_tensor(alpha, device=x.device).rsqrt() * rng.normal("sender", tuple(x.shape))

    def update(self, state: Tensor, y: Tensor, beta: Tensor | float, alpha: Tensor | float) -> Tensor:
        """mu' = (rho mu + alpha y)/(rho + alpha) with rho = 1 + beta (BFN Eqs. 49, 50)."""
        rho = 1 + beta
        return (rho * state + alpha * y) / (rho + alpha)

    def continue_path(self, state: Tensor, x: Tensor, u: Tensor, s: Tensor, rng: Rng) -> Tensor:
        """``send`` and ``update`` in one, written so that alpha = 0 is harmless."""
        beta, beta_s = expand(self.beta(u), x), expand(self.beta(s), x)
        alpha = (beta_s - beta).clamp_min(0)
        evidence = alpha * x + alpha.sqrt() * rng.normal("sender", tuple(x.shape))
        return ((1 + beta) * state + evidence) / (1 + beta_s)

    def network_input(self, state: Tensor) -> Tensor:
        """mu itself."""
        return state

    def decoder_input(self, state: Tensor, u: Tensor) -> Tensor:
        """mu, and sine and cosine of mu with periods of one and two bins, (N, 5 C, H, W); C more with ``input_model``.

        They let a convolution find the nearest bin when u is near 1 (the BFN paper, section 4.4, adds such Fourier
        features at fixed frequencies). Each is damped as its expectation is under the flow's noise,
        exp(-2 pi^2 (1 - gamma)/period^2), so that it vanishes where noise exceeds bins.
        """
        variance, width = expand(self.variance(u), state), 2 * (self.centres[1] - self.centres[0])
        parts = [state]
        for period in (width, 2 * width):
            damping = torch.exp(-2 * (math.pi / period) ** 2 * variance)
            angle = 2 * math.pi / period * state
            parts += [damping * angle.sin(), damping * angle.cos()]
        if self.input_model is not None:
            parts.append(self.input_model.posterior_mean(*self.evidence(state, u)))
        return torch.cat(parts, 1)

    @property
    def n_inputs(self) -> int:
        """Channels of ``decoder_input`` for each colour."""
        return 5 if self.input_model is None else 6

    def evidence(self, state: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What a Gaussian model is shown (``Spectrum``): mu, the signal's power gamma, the noise's power 1 - gamma."""
        return state, self.gamma(u), self.variance(u)

    def estimate(self, out: Tensor, state: Tensor, u: Tensor) -> Tensor:
        """The network's estimate of x, unclipped, by ``output_model`` or ``parametrisation``."""
        if self.output_model is not None:
            return self.output_model.estimate(out, *self.evidence(state, u))
        if self.parametrisation == "x":
            return out
        variance = expand(self.variance(u), state)
        if self.parametrisation == "mix":
            return state + variance.sqrt() * out
        inside = expand(u >= U_MIN, state)
        gamma = torch.where(inside, expand(self.gamma(u), state), 1.0)
        return torch.where(inside, state / gamma - (variance / gamma).sqrt() * out, 0.0)

    def expectation(self, output: Output) -> Tensor:
        return self.to_images(self.direction(output))

    def loss(self, x: Tensor, output: Output, u: Tensor, hidden: Tensor | None = None) -> Tensor:
        """-ln(sigma_1) sigma_1^(-2u) (x - xhat)^2 (BFN Eq. 101).

        Hidden items have the weight of u = 0. With that of their u, which averages (sigma_1^-2 - 1)/2, they would be
        all that is learned: their error is that of a code, not of a theta of that precision.
        """
        if hidden is not None:
            u = torch.where(hidden, 0.0, u)
        weight = -math.log(self.sigma_1) * torch.exp(-2 * math.log(self.sigma_1) * u)
        squared = self.squared_error(x, output)
        return expand(weight, squared) * squared

    def squared_error(self, x: Tensor, output: Output) -> Tensor:
        return (x - self.direction(output)).square()

    def error_weight(self, u: Tensor) -> Tensor:
        """1 + beta(u) = 1/(1 - gamma); with ``output_model`` one over its mean posterior variance, as the output's
        units are then its deviations."""
        if self.output_model is None:
            return super().error_weight(u)
        return self.output_model.loss_weight(self.gamma(u), self.variance(u))

    def to_v(self, state: Tensor, u: Tensor) -> Tensor:
        """v = mu (1 + kappa^2)/kappa."""
        kappa = expand(self.kappa(u), state)
        return state * (1 + kappa.square()) / kappa

    def from_v(self, v: Tensor, u: Tensor) -> Tensor:
        """mu = v kappa/(1 + kappa^2)."""
        kappa = expand(self.kappa(u), v)
        return v * kappa / (1 + kappa.square())

    @property
    def resolves(self) -> bool:
        """Whether half a bin is wider than the noise at u = 1."""
        return (self.centres[1] - self.centres[0]) * self.kappa(torch.ones(1, dtype=torch.float64)).item() > 1

    def quantise(self, x: Tensor) -> Tensor:
        centres = self.flow_centres(x)
        index = ((x - centres[0]) / (centres[1] - centres[0])).round().clamp(0, len(centres) - 1)
        return centres[index.long()]

    @abstractmethod
    def direction(self, output: Output) -> Tensor:
        """xhat in [-1, 1]."""

    def flow_centres(self, like: Tensor) -> Tensor:
        """The K values in the flow's units [-1, 1], (K,)."""
        return 2 * torch.tensor(self.centres, device=like.device) - 1


@dataclass(frozen=True)
class ContinuousFlow(GaussianFlow):
    """Continuous data, delta output: the output is xhat itself, clipped to [-1, 1]. "ParamReL_c"."""

    reconstruction_scale: float = 1.0
    """Standard deviation, in units of sigma_1, of the Normal around xhat(theta_1) whose bins give the reconstruction
    term (a delta has no likelihood). The official BFN code has 1, and .7 for 16 bins."""

    def channels(self, n_colours: int) -> tuple[int, int, int]:
        return n_colours, self.n_inputs * n_colours, n_colours

    def output(self, out: Tensor, state: Tensor, u: Tensor) -> Tensor:
        return self.estimate(out.float(), state, u).clamp(-1, 1)

    def direction(self, output: Tensor) -> Tensor:
        return output

    def mode(self, output: Tensor) -> Tensor:
        return output

    def draw(self, output: Tensor, rng: Rng) -> Tensor:
        """Nothing is left to draw."""
        return output

    def reconstruction_nll(self, x: Tensor, output: Tensor) -> Tensor:
        """-log of the bin of x under N(xhat, (reconstruction_scale sigma_1)^2)."""
        std = torch.tensor(self.reconstruction_scale * self.sigma_1, device=x.device)
        return binned_gaussian_nll(output, std, x, self.flow_centres(x))


class DiscretisedNormal(NamedTuple):
    """Normal whose mass goes to K bins, tails to the end bins: mean and standard deviation of the shape of x."""

    mean: Tensor
    std: Tensor


@dataclass(frozen=True)
class DiscretisedFlow(GaussianFlow):
    """Discretised data: K bins of width 2/K with centres (2k + 1)/K - 1; the output is a Normal put into bins.

    Two output channels per colour: the estimate of x and the log of its standard deviation in units of the flow's
    own (eps: sqrt((1 - gamma)/gamma); mix: sqrt(1 - gamma); x: 1; with ``output_model`` its deviation at the pixel),
    within [1e-3, 10].
    """

    def channels(self, n_colours: int) -> tuple[int, int, int]:
        return n_colours, self.n_inputs * n_colours, 2 * n_colours

    def output(self, out: Tensor, state: Tensor, u: Tensor) -> DiscretisedNormal:
        mean, log_std = out.float().chunk(2, 1)
        std = log_std.clamp(-10, 10).exp()
        variance = expand(self.variance(u), state)
        if self.output_model is not None:
            std = self.output_model.deviation(self.gamma(u), self.variance(u)) * std
        elif self.parametrisation == "mix":
            std = variance.sqrt() * std
        elif self.parametrisation == "eps":
            inside = expand(u >= U_MIN, state)
            gamma = torch.where(inside, expand(self.gamma(u), state), 1.0)
            std = torch.where(inside, (variance / gamma).sqrt() * std, 1.0)
        return DiscretisedNormal(self.estimate(mean, state, u), std.clamp(1e-3, 10))

    def direction(self, output: DiscretisedNormal) -> Tensor:
        """Expected centre."""
        return _ExpectedCentre.apply(output.mean, output.std, self.flow_centres(output.mean))

    def bin_log_probs(self, output: DiscretisedNormal) -> Tensor:
        """log P of every bin, (..., K); they sum to 1."""
        mean, std = output.mean.unsqueeze(-1), output.std.unsqueeze(-1)
        centres = self.flow_centres(mean)
        return -binned_gaussian_nll(mean, std, centres.expand(*mean.shape[:-1], -1), centres)

    def mode(self, output: DiscretisedNormal) -> Tensor:
        """Centre of the likeliest bin, by tails as well: the two end bins or the one around the mean."""
        centres = self.flow_centres(output.mean)
        ends = (centre.expand_as(output.mean) for centre in (centres[0], centres[-1]))
        candidates = torch.stack((self.quantise(output.mean), *ends))
        nll = binned_gaussian_nll(output.mean, output.std, candidates, centres)
        return candidates.gather(0, nll.argmin(0, keepdim=True)).squeeze(0)

    def draw(self, output: DiscretisedNormal, rng: Rng) -> Tensor:
        """A draw of the Normal, moved to the centre of its bin."""
        return self.quantise(output.mean + output.std * rng.normal("draw", tuple(output.mean.shape)))

    def reconstruction_nll(self, x: Tensor, output: DiscretisedNormal) -> Tensor:
        """-log P of the bin of x, exact."""
        return binned_gaussian_nll(output.mean, output.std, x, self.flow_centres(x))


class _ExpectedCentre(torch.autograd.Function):
    """sum_k c_k P_k of a discretised Normal, with gradient, in memory that does not grow with K.

    With evenly spaced centres and inner edges e_1..e_{K-1} the sum is c_K - width sum_j Phi((e_j - mean)/std).
    """

    CHUNK = 16
    """Edges at a time."""

    @staticmethod
    def forward(ctx, mean: Tensor, std: Tensor, centres: Tensor) -> Tensor:
        width = centres[1] - centres[0]
        total, d_mean, d_std = torch.zeros_like(mean), torch.zeros_like(mean), torch.zeros_like(mean)
        for edges in (centres[:-1] + width / 2).split(_ExpectedCentre.CHUNK):
            t = (edges - mean.unsqueeze(-1)) / std.unsqueeze(-1)
            density = torch.exp(-t.square() / 2) / math.sqrt(2 * math.pi)
            total += torch.special.ndtr(t).sum(-1)
            d_mean += density.sum(-1)
            d_std += (t * density).sum(-1)
        ctx.save_for_backward(width / std * d_mean, width / std * d_std)
        return centres[-1] - width * total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        d_mean, d_std = ctx.saved_tensors
        return gradient * d_mean, gradient * d_std, None
