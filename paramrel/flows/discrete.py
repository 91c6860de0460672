"""Bayesian flow for discrete data: categorical input and output distributions (BFN paper, section 6)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from paramrel.rng import Rng


def _expand(u: Tensor, like: Tensor) -> Tensor:
    """(N,) to (N, 1, ..., 1) with the number of axes of ``like``."""
    return u.reshape(-1, *[1] * (like.ndim - 1))


@dataclass(frozen=True)
class DiscreteFlow:
    """Flow over class indices x in {0..K-1}, shape (N, C, H, W), int64.

    The state is kept as logits of theta, shape (N, C, H, W, K): theta = softmax(logits). In logits a Bayesian
    update is an addition and nothing overflows. Accuracy beta(u) = beta_1 u^2. The BFN paper's beta(1) = 3 for
    binary images is ambiguous; its code uses sqrt(beta_1) = 3, hence beta_1 = 9 here.
    """

    n_classes: int = 2
    beta_1: float = 9.0

    def beta(self, u: Tensor) -> Tensor:
        """Accumulated accuracy beta(u) = beta_1 u^2 (BFN Eq. 182)."""
        return self.beta_1 * u**2

    def alpha(self, i: int, n: int) -> float:
        """Accuracy of step i = 1..n: beta(i/n) - beta((i-1)/n) = beta_1 (2i - 1)/n^2. They sum to beta_1."""
        return self.beta_1 * (2 * i - 1) / n**2

    def prior(self, shape: tuple[int, ...], device: torch.device | None = None) -> Tensor:
        """Logits of the uniform prior theta_0 = 1/K: zeros of (*shape, K)."""
        return torch.zeros(*shape, self.n_classes, device=device)

    def one_hot(self, x: Tensor) -> Tensor:
        """e_x, float32, shape (*x.shape, K)."""
        return F.one_hot(x, self.n_classes).float()

    def mean_logits(self, x: Tensor, u: Tensor) -> Tensor:
        """Noise-free flow mean beta(u) (K e_x - 1); u (N,)."""
        e = self.one_hot(x)
        return _expand(self.beta(u), e) * (self.n_classes * e - 1)

    def sample(self, x: Tensor, u: Tensor, rng: Rng) -> Tensor:
        """Draw theta_u ~ p_F(. | x; u) (BFN Eq. 185): logits beta (K e_x - 1) + sqrt(K beta) eps."""
        mean = self.mean_logits(x, u)
        eps = rng.normal("eps", tuple(mean.shape))
        return mean + _expand((self.n_classes * self.beta(u)).sqrt(), mean) * eps

    def continue_path(self, logits: Tensor, x: Tensor, u: Tensor, s: Tensor, rng: Rng) -> Tensor:
        """Carry theta_u of x on to s >= u by one further sender sample of accuracy beta(s) - beta(u)."""
        alpha = self.beta(s) - self.beta(u)
        return self.update(logits, self._send(self.one_hot(x), _expand(alpha, logits), rng))

    def send(self, x: Tensor, alpha: float, rng: Rng) -> Tensor:
        """Sender sample y ~ N(alpha (K e_x - 1), alpha K I) (BFN Eq. 157), shape (*x.shape, K)."""
        return self._send(self.one_hot(x), torch.tensor(alpha, device=x.device), rng)

    def _send(self, e: Tensor, alpha: Tensor, rng: Rng) -> Tensor:
        eps = rng.normal("sender", tuple(e.shape))
        return alpha * (self.n_classes * e - 1) + (alpha * self.n_classes).sqrt() * eps

    def update(self, logits: Tensor, y: Tensor) -> Tensor:
        """Bayesian update theta' = theta exp(y) / sum (BFN Eq. 171), in logits."""
        return logits + y

    def network_input(self, logits: Tensor) -> Tensor:
        """What the networks see. K = 2: 2 theta_1 - 1, (N, C, H, W). K > 2: 2 theta - 1, (N, C K, H, W)."""
        if self.n_classes == 2:
            return torch.tanh((logits[..., 1] - logits[..., 0]) / 2)
        theta = 2 * logits.softmax(-1) - 1
        return theta.movedim(-1, 2).flatten(1, 2)

    def output_log_probs(self, out: Tensor) -> Tensor:
        """Network output to log p_O, (N, C, H, W, K). K = 2: one channel per colour, the logit of class 1."""
        out = out.float()
        if self.n_classes == 2:
            return torch.stack((F.logsigmoid(-out), F.logsigmoid(out)), -1)
        n, ck, h, w = out.shape
        return out.reshape(n, ck // self.n_classes, self.n_classes, h, w).movedim(2, -1).log_softmax(-1)

    def loss(self, x: Tensor, log_p: Tensor, u: Tensor) -> Tensor:
        """Continuous-time loss K beta_1 u ||e_x - p_O||^2 per element (BFN Eq. 205), nats, (N, C, H, W)."""
        squared = (self.one_hot(x) - log_p.exp()).square().sum(-1)
        return self.n_classes * self.beta_1 * _expand(u, squared) * squared

    def n_step_loss(self, x: Tensor, log_p: Tensor, i: int, n: int, rng: Rng, n_draws: int = 10) -> Tensor:
        """n KL(sender || receiver) of step i by Monte Carlo, nats per element (BFN Eq. 189).

        ``log_p`` is the output at u = (i - 1)/n. The receiver is a mixture over whole K-vectors,
        sum_k p_k N(y; alpha (K e_k - 1), alpha K I); the official BFN code mixes each coordinate by itself,
        which is another distribution.
        """
        k, alpha = self.n_classes, self.alpha(i, n)
        centres = alpha * (k * torch.eye(k, device=x.device) - 1)
        total = torch.zeros(x.shape, device=x.device)
        for draw in range(n_draws):
            y = self.send(x, alpha, rng.at(draw))
            log_density = -(y.unsqueeze(-2) - centres).square().sum(-1) / (2 * alpha * k)
            own = log_density.gather(-1, x.unsqueeze(-1)).squeeze(-1)
            total += own - torch.logsumexp(log_p + log_density, -1)
        return n * total / n_draws

    def reconstruction_nll(self, x: Tensor, log_p: Tensor) -> Tensor:
        """-log p_O(x | theta_1), nats per element, (N, C, H, W). Evaluated, never trained, as in BFN."""
        return -log_p.gather(-1, x.unsqueeze(-1)).squeeze(-1)

    def draw(self, log_p: Tensor, rng: Rng) -> Tensor:
        """Draw x ~ p_O: class indices (N, C, H, W)."""
        uniform = rng.uniform("draw", tuple(log_p.shape)).clamp_min(1e-20)
        return (log_p - torch.log(-torch.log(uniform))).argmax(-1)
