"""Bayesian flows (arXiv 2308.07037): how noisy senders turn a prior into data, in closed form.

Flow time u runs in [0, 1]: u = 0 is the prior, u = 1 the data (the ParamReL paper counts t = 1000 (1 - u)).
"""

from paramrel.flows.discrete import DiscreteFlow

__all__ = ["DiscreteFlow"]
