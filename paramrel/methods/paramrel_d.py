"""ParamReL_d: ParamReL over the discrete flow."""

from pydantic import Field

from paramrel.data import DataSet
from paramrel.flows import DiscreteFlow
from paramrel.methods._paramrel import ParamRel, ParamRelConfig

MAX_CLASSES = 32


class ParamRelDConfig(ParamRelConfig):
    """Settings of ParamReL_d."""

    beta_1: float | None = Field(None, gt=0)
    """Accuracy beta(1) of the flow; None: 18/K, which is 9 for binary images and .67 for K = 27 (the BFN code has 9
    and .56): the distance of two classes' logits is then the same number of standard deviations for every K."""


class ParamRelD(ParamRel):
    """Categorical output over K classes per pixel."""

    name = "paramrel_d"
    title = "ParamReL_d"
    Config = ParamRelDConfig

    @classmethod
    def skip(cls, data: DataSet) -> str | None:
        too_many = f"{data.bins} classes per pixel: paramrel_discretised or paramrel_c"
        return super().skip(data) or (too_many if data.bins > MAX_CLASSES else None)

    def make_flow(self, data: DataSet, config: ParamRelDConfig) -> DiscreteFlow:
        return DiscreteFlow(data.bins, config.beta_1 or 18 / data.bins, tuple(data.centres.tolist()))
