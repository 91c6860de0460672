"""Names of a cell's evaluation files; each changes with what the file depends on."""

from pathlib import Path

from metrics import METRICS, metric_class, options_of
from suite.graph.config import Evaluate
from suite.graph.hashing import short_hash

ENCODE_VERSION = 9
"""Raise it when the same weights would give other arrays."""

EXPLORER_VERSION = 1
"""Raise it when the same weights and codes would give other frames for the report's explorer."""


def codes_name(evaluate: Evaluate) -> str:
    """File of what ``paramrel encode`` writes."""
    what = [ENCODE_VERSION, evaluate.n_images, evaluate.n_probe_images, evaluate.n_codes, evaluate.sampling_steps]
    return f"codes-{short_hash(what)}.npz"


def timing_name(evaluate: Evaluate) -> str:
    """File in which ``paramrel encode`` writes how long it took to sample."""
    return timing_of(Path(codes_name(evaluate))).name


def timing_of(codes: Path) -> Path:
    """The file of timing and origin beside a file of codes."""
    return codes.with_name(f"timing-{codes.stem.removeprefix('codes-')}.json")


def explorer_name(evaluate: Evaluate) -> str:
    """File of what ``paramrel explore`` writes."""
    return f"explorer-{short_hash([codes_name(evaluate), EXPLORER_VERSION])}.npz"


def metrics_name(evaluate: Evaluate) -> str:
    """File of what ``paramrel evaluate`` writes from the codes: names, versions and options of the metrics count."""
    return f"metrics-{_measured(evaluate)}.json"


def control_name(evaluate: Evaluate) -> str:
    """The same of metrics on shuffled labels."""
    return f"control-{_measured(evaluate)}.json"


def _measured(evaluate: Evaluate) -> str:
    what = {
        name: [metric_class(name).version, dict(options_of(name, evaluate.options))] for name in metric_names(evaluate)
    }
    return short_hash([codes_name(evaluate), what, evaluate.probe_seed])


def metric_names(evaluate: Evaluate) -> tuple[str, ...]:
    """The preset's metrics, by name. "all" leaves out broken ones, with a line on standard error."""
    if evaluate.metrics != "all":
        return evaluate.metrics
    return tuple(sorted(name for name, cls in METRICS.every().items() if cls.by_default))
