"""Scores of codes by the suite's metrics."""

from typing import Any

import numpy as np

from paramrel.errors import Unsupported, UserError


def score(z: np.ndarray, y: np.ndarray, name: str = "auroc", *, seed: int = 0, **options: Any) -> float:
    """A metric of codes z (N, d) and labels y (N,) or (N, k): "auroc", "accuracy", "dci", "mig", "tad", ...

    ``options`` are the metric's (``paramrel list metrics``); 0 and 1 in a y of several columns are attributes too.
    Raises ``UserError`` for arrays that the metric cannot take, and where it is not defined on them, with the reason.
    """
    try:
        from metrics import metric
    except ImportError as error:
        raise UserError("a module of your own called metrics hides the suite's: rename it, or run elsewhere") from error
    arrays = {"z": np.asarray(z), "y": np.asarray(y)}
    if arrays["y"].ndim == 2 and np.isin(arrays["y"], (0, 1)).all():
        arrays["attributes"] = arrays["y"]
    try:
        return metric(name, options)(arrays, seed).value
    except Unsupported as reason:
        raise UserError(f"{name} is not defined on these arrays: {reason}") from reason
