"""The flow in steps, which nothing but tests needs: the way back of an update, and the loss of one of n steps.

Equation numbers are those of the BFN paper, arXiv 2308.07037.
"""

import torch
from torch import Tensor

from paramrel.flows import ContinuousFlow, DiscreteFlow, DiscretisedFlow, Flow, GaussianFlow, Output
from paramrel.rng import Rng


def revert(flow: Flow, state: Tensor, y: Tensor, beta: Tensor | float, alpha: Tensor | float) -> Tensor:
    """Inverse of ``update``: the state of accumulated accuracy ``beta`` before y of accuracy ``alpha`` arrived.

    Gaussian: mu = ((rho + alpha) mu' - alpha y)/rho with rho = 1 + beta. It needs the noisy y; Eq. 5 of the ParamReL
    paper puts the estimate of x in its place, which leaks x or loses everything: codes come from the ODE instead.
    Discrete, in logits: a subtraction.
    """
    if isinstance(flow, GaussianFlow):
        rho = 1 + beta
        return ((rho + alpha) * state - alpha * y) / rho
    return state - y


def n_step_loss(flow: Flow, x: Tensor, output: Output, i: float, n: int, rng: Rng, n_draws: int = 10) -> Tensor:
    """n KL(sender || receiver) of step i = 1..n, nats per element; ``output`` is at u = (i - 1)/n.

    Its mean over i is the n-step flow loss; n to infinity gives ``Flow.loss``. Flows without a closed form average
    ``n_draws`` draws.
    """
    alpha = flow.alpha(i, n)
    if isinstance(flow, ContinuousFlow):
        return n * alpha / 2 * (x - output).square()  # exact (Eq. 96)
    ratios = _discrete_ratio if isinstance(flow, DiscreteFlow) else _discretised_ratio
    return n * sum(ratios(flow, x, output, alpha, rng.at(draw)) for draw in range(n_draws)) / n_draws


def _discretised_ratio(flow: DiscretisedFlow, x: Tensor, output: Output, alpha: float, rng: Rng) -> Tensor:
    """log sender/receiver of one draw; the receiver is the mixture sum_k P_k N(y; c_k, 1/alpha) (Eq. 118)."""
    y, centres = flow.send(x, alpha, rng), flow.flow_centres(x)
    receiver = flow.bin_log_probs(output) - alpha / 2 * (y.unsqueeze(-1) - centres).square()
    return -alpha / 2 * (y - x).square() - torch.logsumexp(receiver, -1)


def _discrete_ratio(flow: DiscreteFlow, x: Tensor, output: Tensor, alpha: float, rng: Rng) -> Tensor:
    """log sender/receiver of one draw (Eq. 189). The receiver is a mixture over whole K-vectors,
    sum_k p_k N(y; alpha (K e_k - 1), alpha K I); the official BFN code mixes each coordinate by itself, which is
    another distribution."""
    k = flow.n_classes
    centres = alpha * (k * torch.eye(k, device=x.device) - 1)
    y = flow.send(x, alpha, rng)
    log_density = -(y.unsqueeze(-2) - centres).square().sum(-1) / (2 * alpha * k)
    own = log_density.gather(-1, x.unsqueeze(-1)).squeeze(-1)
    return own - torch.logsumexp(output + log_density, -1)
