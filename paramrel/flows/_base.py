"""The flow seam: what methods, samplers and the likelihood ask of a Bayesian flow."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from paramrel.errors import Unsupported
from paramrel.rng import Rng

Output = Any
"""Parameters of the output distribution p_O(. | theta, z, u): only the flow that made them reads them."""


def expand(u: Tensor, like: Tensor) -> Tensor:
    """(N,) to (N, 1, ..., 1) with the number of axes of ``like``."""
    return u.reshape(-1, *[1] * (like.ndim - 1))


class Flow(ABC):
    """A Bayesian flow over N items of any shape (N, ...), usually images (N, C, H, W).

    u in [0, 1] is flow time, (N,): 0 is the prior, 1 the data (the BFN paper's direction; ParamReL's step is
    t = 1000 (1 - u)). ``x`` is data in the flow's own values (``to_flow``); ``state`` are the parameters theta of
    the input distribution; losses are per element in nats, of the shape of x. Equation numbers are those of the
    BFN paper, arXiv 2308.07037.

    Every flow is also one and the same Gaussian channel: v = kappa(u) x + n with n ~ N(0, I), ``to_v`` and
    ``from_v`` (x meaning the centred data of ``direction``). Sampling without noise is the probability-flow ODE
    dv/dkappa = direction(output); v at kappa = 0 is the stochastic subcode.

    Accuracies and kappa are one number for all of x; where channels have flows of their own (``MixedFlow``) they are
    tensors that broadcast against state and v.
    """

    @abstractmethod
    def to_flow(self, images: Tensor) -> Tensor:
        """Images in [0, 1] to the flow's values."""

    @abstractmethod
    def to_images(self, x: Tensor) -> Tensor:
        """The flow's values to images in [0, 1]."""

    @abstractmethod
    def channels(self, n_colours: int) -> tuple[int, int, int]:
        """Channels of ``network_input``, of ``decoder_input`` and of the decoder's output for ``n_colours``."""

    @abstractmethod
    def beta(self, u: Tensor) -> Tensor:
        """Accumulated accuracy beta(u), beta(0) = 0."""

    def time_at(self, beta: Tensor) -> Tensor:
        """The u at which the accumulated accuracy is ``beta``: the inverse of ``beta``, in [0, 1] for what it reaches.
        Raises ``Unsupported`` where parts of x have accuracies of their own."""
        raise Unsupported("its channels have flows of their own, whose accuracies no one time is at")

    @abstractmethod
    def alpha(self, i: int, n: int) -> float | Tensor:
        """Accuracy of step i = 1..n: beta(i/n) - beta((i-1)/n). The n of them sum to beta(1)."""

    @abstractmethod
    def prior(self, shape: tuple[int, ...], device: torch.device | None = None) -> Tensor:
        """theta_0 for x of ``shape``: all zeros, so ``hide`` can make it from any state."""

    @abstractmethod
    def mean_state(self, x: Tensor, u: Tensor) -> Tensor:
        """theta_u of x without noise."""

    def noise_free(self, images: Tensor, u: Tensor) -> Tensor:
        """theta_u of images (values in [0, 1]) without noise: what codes are read from. Images of a finer type than the
        flow's are taken as what they say about its classes, where it can (``DiscreteFlow``)."""
        return self.mean_state(self.to_flow(images), u)

    @abstractmethod
    def sample(self, x: Tensor, u: Tensor, rng: Rng) -> Tensor:
        """Draw theta_u ~ p_F(. | x; u)."""

    @abstractmethod
    def send(self, x: Tensor, alpha: Tensor | float, rng: Rng) -> Tensor:
        """Draw y from the sender distribution of accuracy alpha (a number, or broadcastable against y)."""

    @abstractmethod
    def update(self, state: Tensor, y: Tensor, beta: Tensor | float, alpha: Tensor | float) -> Tensor:
        """Bayesian update of a state of accumulated accuracy ``beta`` by y of accuracy ``alpha``."""

    @abstractmethod
    def continue_path(self, state: Tensor, x: Tensor, u: Tensor, s: Tensor, rng: Rng) -> Tensor:
        """Carry theta_u of x on to s >= u (both (N,)) by one sender sample of accuracy beta(s) - beta(u)."""

    @abstractmethod
    def network_input(self, state: Tensor) -> Tensor:
        """What the encoder sees of a state."""

    def decoder_input(self, state: Tensor, u: Tensor) -> Tensor:
        """What the decoder sees of a state at u: the same, and what else helps it."""
        return self.network_input(state)

    @abstractmethod
    def output(self, out: Tensor, state: Tensor, u: Tensor) -> Output:
        """The network's output to the output distribution."""

    @abstractmethod
    def expectation(self, output: Output) -> Tensor:
        """Mean image in [0, 1] of the output distribution."""

    @abstractmethod
    def mode(self, output: Output) -> Tensor:
        """Most likely x of the output distribution."""

    def read(self, state: Tensor, output: Output) -> Tensor:
        """x at the end of a deterministic way: the mode of p_O, with theta_1's own evidence if p_O may lack it."""
        return self.mode(output)

    @abstractmethod
    def draw(self, output: Output, rng: Rng) -> Tensor:
        """Draw x ~ p_O."""

    @abstractmethod
    def loss(self, x: Tensor, output: Output, u: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Continuous-time loss per element at u, nats: its mean over u ~ U(0, 1) is the bound's flow part.

        ``hidden``, bool (N,), marks items whose decoder saw the prior and u = 0 in training (theta dropout).
        """

    @abstractmethod
    def squared_error(self, x: Tensor, output: Output) -> Tensor:
        """|x - xhat|^2 per element, in units of v: ``loss`` is this times half of beta'(u), and beta(u) times this is
        the squared error of the noise n = v - kappa x that xhat implies."""

    def error_weight(self, u: Tensor) -> Tensor:
        """(N,): what makes ``squared_error`` at u the squared error of v = sqrt(gamma) n - sqrt(1 - gamma) x (arXiv
        2202.00512) with gamma = beta/(1 + beta), the output's own units: 1 + beta(u)."""
        return 1 + self.beta(u)

    @abstractmethod
    def reconstruction_nll(self, x: Tensor, output: Output) -> Tensor:
        """-log p_O(x | theta_1), nats per element. Evaluated, never trained, as in BFN."""

    def kappa(self, u: Tensor) -> Tensor:
        """Signal to noise in v-space: sqrt(beta(u))."""
        return self.beta(u).sqrt()

    @property
    def resolves(self) -> bool:
        """Whether theta_1 as a rule shows which of the data's values a pixel has."""
        return False

    def quantise(self, x: Tensor) -> Tensor:
        """x moved to the nearest of the data's values."""
        return x

    def misread(self, x: Tensor, read: Tensor) -> Tensor:
        """Which items of x were read as another value than they have, bool, to broadcast against v."""
        return read != self.quantise(x)

    @property
    def has_ode(self) -> bool:
        """Whether there is a deterministic way from subcode to data and back (``to_v``, ``from_v``)."""
        return True

    @abstractmethod
    def to_v(self, state: Tensor, u: Tensor) -> Tensor:
        """State at u > 0 to v."""

    @abstractmethod
    def from_v(self, v: Tensor, u: Tensor) -> Tensor:
        """v at u to the state; any v at u = 0 gives the prior."""

    @abstractmethod
    def direction(self, output: Output) -> Tensor:
        """xhat of the ODE dv/dkappa = xhat: expectation of the centred data, in the shape of v."""


def hide(state: Tensor, hidden: Tensor) -> Tensor:
    """The prior in place of the states of the items that are ``hidden``, bool (N,)."""
    return torch.where(expand(hidden, state), 0.0, state)
