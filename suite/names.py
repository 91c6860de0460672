"""Names of a cell's evaluation files; each changes with what the file depends on."""

from metrics import metrics
from suite.config import Evaluate
from suite.hashing import short_hash

ENCODE_VERSION = 3
"""Raise it when the same weights would give other arrays."""


def codes_name(evaluate: Evaluate) -> str:
    """File of what ``paramrel encode`` writes."""
    what = [ENCODE_VERSION, evaluate.n_images, evaluate.n_probe_images, evaluate.sampling_steps]
    return f"codes-{short_hash(what)}.npz"


def metrics_name(evaluate: Evaluate) -> str:
    """File of what ``paramrel evaluate`` writes from the codes: names and versions of the metrics count."""
    versions = {name: metrics()[name].version for name in metric_names(evaluate)}
    return f"metrics-{short_hash([codes_name(evaluate), versions, evaluate.probe_seed])}.json"


def metric_names(evaluate: Evaluate) -> tuple[str, ...]:
    """The preset's metrics, by name."""
    return tuple(sorted(metrics())) if evaluate.metrics == "all" else evaluate.metrics
