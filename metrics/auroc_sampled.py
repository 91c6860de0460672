"""AUROC of sampled codes."""

from metrics.auroc import Auroc


class AurocSampled(Auroc):
    """``auroc`` of z ~ q(z | x) in place of the posterior mean.

    A probe standardises codes, so it reads a collapsed posterior mean as well as a healthy one; a sample from
    the posterior does not hide collapse.
    """

    name = "auroc_sampled"
    title = "AUROC of sampled z"
    places = {"latent_usage": 70}
    needs = ("z_sampled", "y")
    source = "ours"
