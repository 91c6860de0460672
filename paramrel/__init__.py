"""ParamReL (arXiv 2405.15268) and what every method of the benchmark shares.

``paramrel.images``, ``train``, ``Model``, ``score`` and ``CodeTransformer`` are the public interface (docs/api.md);
they are loaded when they are asked for. Nothing else in this package knows the workflow or the command line.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paramrel.api import CodeTransformer, Images, Model, images, score, train

CODE_VERSION = 1
"""Version of the code that all methods share (training loop, networks, random streams).

It is part of every run's hash. Raise it when a change to shared code changes what a training computes;
a change to one method raises that method's own ``version`` instead.
"""

__all__ = ["CODE_VERSION", "CodeTransformer", "Images", "Model", "images", "score", "train"]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("paramrel.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
