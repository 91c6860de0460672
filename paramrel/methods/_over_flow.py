"""What every method over a Bayesian flow has: the flow, the times of its training, and a decoder of its states."""

from abc import abstractmethod
from typing import ClassVar, Literal, TypedDict, TypeVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from paramrel.data import DataSet
from paramrel.errors import Unsupported
from paramrel.flows import Flow, LastSample, Output
from paramrel.method import Method
from paramrel.noise import NOISES, point, snr
from paramrel.preconditioning import PreconditioningConfig
from paramrel.rng import Rng
from paramrel.settings import Network
from paramrel.spectrum import Spectrum
from paramrel.times import TimesConfig, training_times


class FlowConfig(TimesConfig, PreconditioningConfig):
    """Settings of every method over a flow, whatever the flow."""

    later: ClassVar[tuple[str, ...]] = ("n_updates", "times", "update")

    update: Literal["bayes", "last_sample"] = "bayes"
    """bayes: theta_u adds up all sender samples up to u. last_sample, an ablation: the networks see the last of
    ``n_updates`` sender samples alone (``flows.LastSample``); images are then sampled in so many steps."""
    n_updates: int = Field(20, ge=1)
    """Steps of the flow under ``update: last_sample``: the ``sampling_steps`` of the preset."""
    times: Literal["uniform", "ddpm", "edm"] = "uniform"
    """Times and weights in training. uniform: u uniform, the flow's weight: the bound itself. ddpm: the log-SNR density
    of DDPM's linear schedule (arXiv 2006.11239) and the squared error of the noise, as in its simple loss; images whose
    theta is dropped then count by the squared error of x. edm: the noise levels where images are decided, mixed with
    uniform u, and the squared error of v (``times.EdmTimes``). The likelihood is the flow's own whatever is trained."""


F = TypeVar("F", bound=FlowConfig)


class Models(TypedDict):
    """Where a flow has a Gaussian model of the images."""

    input_model: Spectrum | None
    output_model: Spectrum | None


class FlowMethod(Method[F]):
    """A decoder psi(theta_u, u, z) over a Bayesian flow; subclasses say where z comes from."""

    Config: ClassVar[type[FlowConfig]]
    table_times = (0.1, 0.3, 0.5, 0.7, 0.9)
    """Flow times at which decoders of tables are compared, whose columns have noise of their own."""
    decoder: nn.Module
    """(network input, u (N,), z) to what ``Flow.output`` reads, (N, C, H, W)."""

    def __init__(self, data: DataSet, net: Network, config: F) -> None:
        super().__init__(data, net, config)
        self.spectrum = config.spectrum(data)
        flow = self.make_flow(data, config)
        self.flow = LastSample(flow, config.n_updates) if config.update == "last_sample" else flow
        self.times = training_times(config.times, self.flow, config)

    @abstractmethod
    def make_flow(self, data: DataSet, config: F) -> Flow:
        """The flow over the data's values."""

    @property
    def models(self) -> Models:
        """``spectrum`` where a flow takes it (``input_model``, ``output_model``)."""
        config = self.config
        return {
            "input_model": self.spectrum if config.at_input else None,
            "output_model": self.spectrum if config.at_output else None,
        }

    def fit(self, images: np.ndarray, rng: Rng) -> None:
        """Measure the model of the images, where one is asked for."""
        if self.spectrum is not None:
            self.spectrum.measure(images, rng)

    @property
    def noise_times(self) -> dict[float, float]:
        """The flow times u of ``NOISES``, as far as the flow reaches them (accuracy beta(u) = 1/sigma^2); none for
        tables."""
        try:
            times = {noise: float(self.flow.time_at(torch.tensor(snr(noise), dtype=torch.float64))) for noise in NOISES}
        except Unsupported:
            return {}
        return {noise: time for noise, time in times.items() if time <= 1}

    def usage_points(self) -> dict[str, float]:
        """Names and flow times of the points at which losses with swapped codes are compared."""
        by_noise = {point(noise): time for noise, time in self.noise_times.items()}
        return by_noise or {f"u={time}": time for time in self.table_times}

    def usage_loss(self, x: Tensor, output: Output, u: Tensor) -> Tensor:
        """SNR/2 |x - xhat|^2, the bound's loss per unit of ln SNR at u, nats per image: (N,).

        With SNR = beta(u) the bound is int SNR/2 |x - xhat|^2 d ln SNR (arXiv 2107.00630, Eq. 18), whatever the times
        are called. Of tables, whose columns have accuracies of their own, per unit of u.
        """
        if not self.noise_times:
            return self.flow.loss(x, output, u).flatten(1).sum(1)
        return self.flow.beta(u) / 2 * self.flow.squared_error(x, output).flatten(1).sum(1)

    def paths(self, x: Tensor, n_steps: int, rng: Rng) -> Tensor:
        """By n_steps Bayesian updates with sender samples of x."""
        x = self.flow.to_flow(x)
        state = self._prior(len(x), rng.device)
        seen = [self.flow.network_input(state)]
        for i in range(n_steps):
            u, s = (torch.full((len(x),), j / n_steps, device=rng.device) for j in (i, i + 1))
            state = self.flow.continue_path(state, x, u, s, rng.at(i))
            seen.append(self.flow.network_input(state))
        return torch.stack(seen)

    def _output(self, theta: Tensor, u: Tensor, z: Tensor) -> Output:
        """p_O(. | theta, u, z)."""
        theta, u = self._seen(theta, u)
        return self.flow.output(self.decoder(self.flow.decoder_input(theta, u), u, z), theta, u)

    def _seen(self, theta: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoder sees of theta and u: all."""
        return theta, u

    def _prior(self, n: int, device: torch.device) -> Tensor:
        """theta_0 of n images."""
        return self.flow.prior((n, *self.data.shape), device)
