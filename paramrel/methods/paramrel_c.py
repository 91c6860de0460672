"""ParamReL_c: ParamReL over the continuous flow."""

from typing import ClassVar, TypeVar

from pydantic import model_validator
from torch import Tensor

from paramrel.data import DataSet
from paramrel.errors import Unsupported
from paramrel.flows import Flow
from paramrel.methods._kinds import GaussianSettings, continuous_flow, not_continuous
from paramrel.methods._paramrel import ParamRel, ParamRelConfig


class GaussianConfig(GaussianSettings, ParamRelConfig):
    """Settings of ParamReL over a flow with Gaussian input distribution."""

    @model_validator(mode="after")
    def _codes_alone(self) -> "GaussianConfig":
        if self.parametrisation == "eps" and self.theta_dropout:
            raise ValueError(
                "theta_dropout needs parametrisation mix or x: with eps the estimate at u = 0 does not depend on z"
            )
        return self


G = TypeVar("G", bound=GaussianConfig)


class ParamRelC(ParamRel[G]):
    """Delta output: the network estimates x itself."""

    name = "paramrel_c"
    title = "ParamReL_c"
    Config: ClassVar[type[GaussianConfig]] = GaussianConfig

    @classmethod
    def skip(cls, data: DataSet) -> str | None:
        return not_continuous(data, "paramrel") or super().skip(data)

    def make_flow(self, data: DataSet, config: G) -> Flow:
        return continuous_flow(data, config, self.models)

    def decode(self, z: Tensor) -> Tensor:
        if self.config.parametrisation == "eps":
            raise Unsupported("with the eps output nothing is decoded at u = 0")
        return super().decode(z)
