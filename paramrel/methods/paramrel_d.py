"""ParamReL_d: ParamReL over the discrete flow."""

from paramrel.data import DataSet
from paramrel.flows import DiscreteFlow
from paramrel.methods._kinds import DiscreteSettings, discrete_flow, not_discrete
from paramrel.methods._paramrel import ParamRel, ParamRelConfig


class ParamRelDConfig(DiscreteSettings, ParamRelConfig):
    """Settings of ParamReL_d."""


class ParamRelD(ParamRel[ParamRelDConfig]):
    """Categorical output over K classes per pixel."""

    name = "paramrel_d"
    title = "ParamReL_d"
    Config = ParamRelDConfig

    @classmethod
    def skip(cls, data: DataSet) -> str | None:
        return super().skip(data) or not_discrete(data, "paramrel")

    def make_flow(self, data: DataSet, config: ParamRelDConfig) -> DiscreteFlow:
        return discrete_flow(data, config, self.models)
