"""Bayesian flow for discrete data: categorical input and output distributions (BFN paper, section 6)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from paramrel.errors import UserError
from paramrel.flows._base import Flow, expand
from paramrel.rng import Rng
from paramrel.spectrum import Spectrum

LEAST_CHANCE = 1e-3
"""Least probability of a class that ``output_model`` gives. Its Gaussian may be sure where the network has to doubt."""


@dataclass(frozen=True)
class DiscreteFlow(Flow):
    """Flow over class indices x in {0..K-1}, shape (N, C, H, W), int64.

    The state is kept as logits of theta, shape (N, C, H, W, K): theta = softmax(logits). In logits a Bayesian
    update is an addition and nothing overflows. The output is log p_O, (N, C, H, W, K). Accuracy
    beta(u) = beta_1 u^2. The BFN paper's beta(1) = 3 for binary images is ambiguous; its code uses
    sqrt(beta_1) = 3, hence beta_1 = 9 here.
    """

    n_classes: int = 2
    beta_1: float = 9.0
    centres: tuple[float, ...] = (0.0, 1.0)
    """Pixel values in [0, 1] of the K classes, ascending and evenly spaced."""
    input_model: Spectrum | None = None
    """K = 2: a Gaussian model of the images, whose estimate of x = -1, 1 is a further input of the decoder."""
    output_model: Spectrum | None = None
    """K = 2: a Gaussian model of the images. The logit of its estimate of P(class 1), (1 + xhat)/2, joins the
    output."""

    def __post_init__(self) -> None:
        if self.n_classes > 2 and (self.input_model is not None or self.output_model is not None):
            raise UserError(
                f"a Gaussian model of {self.n_classes} classes per pixel says nothing of their odds: "
                "set precondition to none"
            )

    @property
    def resolves(self) -> bool:
        return True

    def misread(self, x: Tensor, read: Tensor) -> Tensor:
        wrong = super().misread(x, read)
        return wrong if self.n_classes == 2 else wrong[..., None]

    def to_flow(self, images: Tensor) -> Tensor:
        first, width = self.centres[0], self.centres[1] - self.centres[0]
        return ((images - first) / width).round().long()

    def to_images(self, x: Tensor) -> Tensor:
        return torch.tensor(self.centres, device=x.device)[x]

    def channels(self, n_colours: int) -> tuple[int, int, int]:
        """K = 2: one per colour everywhere, and with ``input_model`` one more for the decoder. K > 2: K per colour."""
        n = n_colours * (1 if self.n_classes == 2 else self.n_classes)
        return n, n if self.input_model is None else 2 * n, n

    def beta(self, u: Tensor) -> Tensor:
        """Accumulated accuracy beta(u) = beta_1 u^2 (BFN Eq. 182)."""
        return self.beta_1 * u**2

    def time_at(self, beta: Tensor) -> Tensor:
        return (beta / self.beta_1).sqrt()

    def alpha(self, i: int, n: int) -> float:
        """Accuracy of step i = 1..n: beta_1 (2i - 1)/n^2."""
        return self.beta_1 * (2 * i - 1) / n**2

    def prior(self, shape: tuple[int, ...], device: torch.device | None = None) -> Tensor:
        """Logits of the uniform prior theta_0 = 1/K: zeros of (*shape, K)."""
        return torch.zeros(*shape, self.n_classes, device=device)

    def one_hot(self, x: Tensor) -> Tensor:
        """e_x, float32, shape (*x.shape, K)."""
        return F.one_hot(x, self.n_classes).float()

    def mean_state(self, x: Tensor, u: Tensor) -> Tensor:
        """Noise-free logits beta(u) (K e_x - 1)."""
        e = self.one_hot(x)
        return expand(self.beta(u), e) * (self.n_classes * e - 1)

    def noise_free(self, images: Tensor, u: Tensor) -> Tensor:
        """K = 2: logits beta(u) (2 p - 1) of pixel values p = P(class 1), which for binary images are ``mean_state``,
        and for grey ones its mean over their Bernoulli draws. K > 2: each value is its nearest class."""
        if self.n_classes > 2:
            return super().noise_free(images, u)
        p = torch.stack((1 - images, images), -1)
        return expand(self.beta(u), p) * (2 * p - 1)

    def sample(self, x: Tensor, u: Tensor, rng: Rng) -> Tensor:
        """Draw theta_u ~ p_F(. | x; u) (BFN Eq. 185): logits beta (K e_x - 1) + sqrt(K beta) eps."""
        mean = self.mean_state(x, u)
        eps = rng.normal("eps", tuple(mean.shape))
        return mean + expand((self.n_classes * self.beta(u)).sqrt(), mean) * eps

    def continue_path(self, state: Tensor, x: Tensor, u: Tensor, s: Tensor, rng: Rng) -> Tensor:
        alpha = expand(self.beta(s) - self.beta(u), state)
        return self.update(state, self.send(x, alpha, rng))

    def send(self, x: Tensor, alpha: Tensor | float, rng: Rng) -> Tensor:
        """Sender sample y ~ N(alpha (K e_x - 1), alpha K I) (BFN Eq. 157), shape (*x.shape, K)."""
        e = self.one_hot(x)
        alpha = torch.as_tensor(alpha, device=x.device)
        return alpha * (self.n_classes * e - 1) + (alpha * self.n_classes).sqrt() * rng.normal("sender", tuple(e.shape))

    def update(self, state: Tensor, y: Tensor, beta: Tensor | float = 0.0, alpha: Tensor | float = 0.0) -> Tensor:
        """theta' = theta exp(y) / sum (BFN Eq. 171), in logits; the accuracies are not needed."""
        return state + y

    def network_input(self, state: Tensor) -> Tensor:
        """K = 2: 2 theta_1 - 1, (N, C, H, W). K > 2: 2 theta - 1, (N, C K, H, W)."""
        if self.n_classes == 2:
            return torch.tanh((state[..., 1] - state[..., 0]) / 2)
        theta = 2 * state.softmax(-1) - 1
        return theta.movedim(-1, 2).flatten(1, 2)

    def evidence(self, state: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """K = 2: what a Gaussian model of x = -1, 1 is shown (``Spectrum``): kappa v, which is half of the logits'
        difference, beta(u), and noise of power 1."""
        return (state[..., 1] - state[..., 0]) / 2, self.beta(u), torch.ones_like(u)

    def decoder_input(self, state: Tensor, u: Tensor) -> Tensor:
        seen = self.network_input(state)
        if self.input_model is None:
            return seen
        return torch.cat((seen, self.input_model.posterior_mean(*self.evidence(state, u))), 1)

    def output(self, out: Tensor, state: Tensor | None = None, u: Tensor | None = None) -> Tensor:
        """log p_O, (N, C, H, W, K). K = 2: one channel per colour, the logit of class 1; state and u count only with
        ``output_model``."""
        out = out.float()
        if self.output_model is not None:
            assert state is not None and u is not None, "a model of the images needs evidence"
            chance = (1 + self.output_model.posterior_mean(*self.evidence(state, u))) / 2
            out = out + chance.clamp(LEAST_CHANCE, 1 - LEAST_CHANCE).logit()
        if self.n_classes == 2:
            return torch.stack((F.logsigmoid(-out), F.logsigmoid(out)), -1)
        n, ck, *side = out.shape
        return out.reshape(n, ck // self.n_classes, self.n_classes, *side).movedim(2, -1).log_softmax(-1)

    def expectation(self, output: Tensor) -> Tensor:
        if self.n_classes == 2:
            return output[..., 1].exp()
        return (output.exp() * torch.tensor(self.centres, device=output.device)).sum(-1)

    def mode(self, output: Tensor) -> Tensor:
        return output.argmax(-1)

    def read(self, state: Tensor, output: Tensor) -> Tensor:
        """Mode of theta_1 p_O. The network gives p_O without a share of theta, and may doubt a class of which theta_1
        is sure to 21 nats; the product lets either overrule the other's doubt."""
        return (state + output).argmax(-1)

    def draw(self, output: Tensor, rng: Rng) -> Tensor:
        """By the Gumbel trick."""
        uniform = rng.uniform("draw", tuple(output.shape)).clamp_min(1e-20)
        return (output - torch.log(-torch.log(uniform))).argmax(-1)

    def loss(self, x: Tensor, output: Tensor, u: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Continuous-time loss K beta_1 u ||e_x - p_O||^2 (BFN Eq. 205); hidden items keep the weight of their u."""
        squared = (self.one_hot(x) - output.exp()).square().sum(-1)
        return self.n_classes * self.beta_1 * expand(u, squared) * squared

    def squared_error(self, x: Tensor, output: Tensor) -> Tensor:
        """K ||e_x - p_O||^2: a class is sqrt(K) e_x in v, up to a constant."""
        return self.n_classes * (self.one_hot(x) - output.exp()).square().sum(-1)

    def reconstruction_nll(self, x: Tensor, output: Tensor) -> Tensor:
        return -output.gather(-1, x.unsqueeze(-1)).squeeze(-1)

    def to_v(self, state: Tensor, u: Tensor) -> Tensor:
        """K = 2: half the logit difference over kappa, (N, C, H, W), for x = -1, 1. K > 2: logits/sqrt(K beta)."""
        if self.n_classes == 2:
            half = (state[..., 1] - state[..., 0]) / 2
            return half / expand(self.kappa(u), half)
        return state / expand((self.n_classes * self.beta(u)).sqrt(), state)

    def from_v(self, v: Tensor, u: Tensor) -> Tensor:
        if self.n_classes == 2:
            half = expand(self.kappa(u), v) * v
            return torch.stack((-half, half), -1)
        return v * expand((self.n_classes * self.beta(u)).sqrt(), v)

    def direction(self, output: Tensor) -> Tensor:
        """K = 2: p_1 - p_0. K > 2: (K p - 1)/sqrt(K), (N, C, H, W, K)."""
        p = output.exp()
        if self.n_classes == 2:
            return p[..., 1] - p[..., 0]
        return (self.n_classes * p - 1) / self.n_classes**0.5
