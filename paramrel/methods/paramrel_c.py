"""ParamReL_c: ParamReL over the continuous flow."""

from pydantic import Field, model_validator

from paramrel.data import DataSet
from paramrel.errors import Unsupported
from paramrel.flows import ContinuousFlow, Parametrisation
from paramrel.methods._paramrel import ParamRel, ParamRelConfig


class GaussianConfig(ParamRelConfig):
    """Settings of ParamReL over a flow with Gaussian input distribution."""

    sigma_1: float | None = Field(None, gt=0, lt=1)
    """Standard deviation of theta at u = 1. None: 1e-3 for 256 bins, sqrt(1e-3) for fewer, as in BFN's code."""
    parametrisation: Parametrisation = "mix"
    """What the network's output means. The paper has eps; mix is better conditioned and decodes codes alone."""

    @model_validator(mode="after")
    def _codes_alone(self) -> "GaussianConfig":
        if self.parametrisation == "eps" and self.theta_dropout:
            raise ValueError(
                "theta_dropout needs parametrisation mix or x: with eps the estimate at u = 0 does not depend on z"
            )
        return self

    def sigma(self, bins: int) -> float:
        """sigma_1 for a data set of so many bins."""
        return self.sigma_1 or (1e-3 if bins >= 256 else 1e-3**0.5)


class ParamRelC(ParamRel):
    """Delta output: the network estimates x itself."""

    name = "paramrel_c"
    title = "ParamReL_c"
    Config = GaussianConfig

    @classmethod
    def skip(cls, data: DataSet) -> str | None:
        return "binary images: paramrel_d" if data.binary else super().skip(data)

    def make_flow(self, data: DataSet, config: GaussianConfig) -> ContinuousFlow:
        return ContinuousFlow(config.sigma(data.bins), tuple(data.centres.tolist()), config.parametrisation)

    def decode(self, z):
        if self.config.parametrisation == "eps":
            raise Unsupported("with the eps output nothing is decoded at u = 0")
        return super().decode(z)
