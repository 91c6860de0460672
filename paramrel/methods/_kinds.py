"""The three kinds of flow over images: their settings, the flow of a data set, and why a set has no such flow."""

from pydantic import Field, model_validator

from paramrel.data import DataSet
from paramrel.flows import ContinuousFlow, DiscreteFlow, DiscretisedFlow, Parametrisation
from paramrel.methods._over_flow import FlowConfig, Models

MAX_CLASSES = 32


class GaussianSettings(FlowConfig):
    """Settings of a flow with Gaussian input distribution."""

    sigma_1: float | None = Field(None, gt=0, lt=1)
    """Standard deviation of theta at u = 1. None: 1e-3 for 256 bins, sqrt(1e-3) for fewer, as in BFN's code."""
    parametrisation: Parametrisation = "mix"
    """What the network's output means. The paper has eps; mix is better conditioned and decodes codes alone."""

    @model_validator(mode="after")
    def _units_of_the_output(self) -> "GaussianSettings":
        if self.at_output and self.parametrisation != "mix":
            raise ValueError(
                f"precondition: {self.precondition} says what the output means, and so does parametrisation: "
                f"{self.parametrisation}: set it to mix, or estimate to input"
            )
        return self

    def sigma(self, bins: int) -> float:
        """sigma_1 for a data set of so many bins."""
        return self.sigma_1 or (1e-3 if bins >= 256 else 1e-3**0.5)


class DiscreteSettings(FlowConfig):
    """Settings of a flow over classes."""

    beta_1: float | None = Field(None, gt=0)
    """Accuracy beta(1) of the flow; None: 18/K, which is 9 for binary images and .67 for K = 27 (the BFN code has 9
    and .56): the distance of two classes' logits is then the same number of standard deviations for every K."""


def continuous_flow(data: DataSet, config: GaussianSettings, models: Models) -> ContinuousFlow:
    """Delta output: the network estimates x itself."""
    return ContinuousFlow(config.sigma(data.bins), tuple(data.centres.tolist()), config.parametrisation, **models)


def discretised_flow(data: DataSet, config: GaussianSettings, models: Models) -> DiscretisedFlow:
    """A Normal per pixel, put into the data's K bins."""
    return DiscretisedFlow(config.sigma(data.bins), tuple(data.centres.tolist()), config.parametrisation, **models)


def discrete_flow(data: DataSet, config: DiscreteSettings, models: Models) -> DiscreteFlow:
    """K classes per pixel."""
    return DiscreteFlow(data.bins, config.beta_1 or 18 / data.bins, tuple(data.centres.tolist()), **models)


def not_continuous(data: DataSet, family: str) -> str | None:
    """Why ``data`` has no continuous flow, with the name of the method of the ``family`` to take; None if it has."""
    return f"binary images: {family}_d" if data.binary else None


def not_discretised(data: DataSet, family: str) -> str | None:
    """Why ``data`` has no discretised flow; None if it has."""
    if data.kind == "discretised":
        return None
    return not_continuous(data, family) or f"its grey values are no bins of [0, 1]: {family}_c"


def not_discrete(data: DataSet, family: str) -> str | None:
    """Why ``data`` has no discrete flow; None if it has."""
    too_many = f"{data.bins} classes per pixel: {family}_discretised or {family}_c"
    return too_many if data.bins > MAX_CLASSES else None
