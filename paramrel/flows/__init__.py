"""Bayesian flows (arXiv 2308.07037): how noisy senders turn a prior into data, in closed form.

Flow time u runs in [0, 1]: u = 0 is the prior, u = 1 the data (the ParamReL paper counts t = 1000 (1 - u)).
"""

from paramrel.flows._base import Flow, Output, hide
from paramrel.flows.discrete import DiscreteFlow
from paramrel.flows.gaussian import ContinuousFlow, DiscretisedFlow, GaussianFlow, Parametrisation
from paramrel.flows.last_sample import LastSample
from paramrel.flows.mixed import MixedFlow, Part

__all__ = [
    "ContinuousFlow",
    "DiscreteFlow",
    "DiscretisedFlow",
    "Flow",
    "GaussianFlow",
    "LastSample",
    "MixedFlow",
    "Output",
    "Parametrisation",
    "Part",
    "hide",
]
