"""ParamReL over a table whose columns have different types, which the paper promises and does not test."""

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from paramrel.data import DataSet
from paramrel.flows import ContinuousFlow, DiscreteFlow, DiscretisedFlow, Flow, MixedFlow, Part
from paramrel.method import Nll
from paramrel.methods.paramrel_c import GaussianConfig, ParamRelC
from paramrel.mlp import Mlp, MlpDecoder
from paramrel.rng import Rng

N_TIMES = 64


class MixedConfig(GaussianConfig):
    """Settings of ParamReL on tables."""

    beta_1: float | None = Field(None, gt=0)
    """Accuracy beta(1) of categorical columns; None: 18/K, as for images."""
    continuous: Literal["continuous", "discretised"] = "continuous"
    """Flow of the continuous columns: delta output, or a Normal put into the column's bins. The flow loss trains that
    Normal's width only where it is about a bin or less, so "discretised" wants a small sigma_1 (1e-3)."""

    @model_validator(mode="after")
    def _times_of_its_own(self) -> "MixedConfig":
        if self.times != "uniform":
            raise ValueError(
                f"times: {self.times} asks for one signal-to-noise ratio, and columns have their own: use uniform"
            )
        if self.precondition != "none":
            raise ValueError(
                f"precondition: {self.precondition} is a model of images, and columns are none: set it to none"
            )
        if self.update != "bayes":
            raise ValueError(
                "update: last_sample asks for one accuracy of a sample, and columns have their own: use bayes"
            )
        return self


class ParamRelMixed(ParamRelC[MixedConfig]):
    """One flow over continuous columns and categorical columns of any K; an MLP in place of the U-Net."""

    name = "paramrel_mixed"
    version = 2
    title = "ParamReL (mixed)"
    tables = True
    Config = MixedConfig

    @classmethod
    def skip(cls, data: DataSet) -> str | None:
        return None if data.kind == "mixed" else "all channels have one type: paramrel_c, paramrel_d"

    def make_flow(self, data: DataSet, config: MixedConfig) -> MixedFlow:
        """One part for the continuous columns, one for the columns of every K."""
        groups: dict[int | None, list[int]] = {}
        for j, column in enumerate(data.columns):
            groups.setdefault(column.n_classes, []).append(j)
        return MixedFlow(tuple(Part(_flow(data, k, config), tuple(channels)) for k, channels in groups.items()))

    def make_networks(self, n_seen: int, n_in: int, n_out: int) -> tuple[nn.Module, nn.Module]:
        encoder = Mlp(n_seen, self.head_width, self.net, time=self.config.encoder == "progressive")
        return encoder, MlpDecoder(n_in, n_out, self.net)

    def nll(self, x: Tensor, rng: Rng) -> Nll:
        """The mean of ``N_TIMES`` estimates per row: tables are short, and an estimate sees one time of the flow."""
        one = super().nll(x.repeat(N_TIMES, 1, 1, 1), rng)
        assert one.channels is not None, "ParamRel.nll tells the channels"
        return Nll(*(part.unflatten(0, (N_TIMES, len(x))).mean(0) for part in (one.data, one.kl, one.channels)))


def _flow(data: DataSet, n_classes: int | None, config: MixedConfig) -> Flow:
    """The flow of the columns with so many classes, None for the continuous ones."""
    if n_classes is not None:
        centres = tuple(torch.linspace(0, 1, n_classes).tolist())
        return DiscreteFlow(n_classes, config.beta_1 or 18 / n_classes, centres)
    flow = DiscretisedFlow if config.continuous == "discretised" else ContinuousFlow
    return flow(config.sigma(data.bins), tuple(data.centres.tolist()), config.parametrisation)
