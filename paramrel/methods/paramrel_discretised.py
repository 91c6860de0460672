"""ParamReL over the discretised flow (the rows that Table 3 of the paper marks c)."""

from paramrel.data import DataSet
from paramrel.flows import DiscretisedFlow
from paramrel.methods._kinds import discretised_flow, not_discretised
from paramrel.methods.paramrel_c import GaussianConfig, ParamRelC


class ParamRelDiscretised(ParamRelC[GaussianConfig]):
    """Output: a Normal per pixel, put into the data's K bins."""

    name = "paramrel_discretised"
    title = "ParamReL (discretised)"

    @classmethod
    def skip(cls, data: DataSet) -> str | None:
        if data.kind == "discretised":
            return None
        return super().skip(data) or not_discretised(data, "paramrel")

    def make_flow(self, data: DataSet, config: GaussianConfig) -> DiscretisedFlow:
        return discretised_flow(data, config, self.models)
