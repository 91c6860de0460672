"""A preset with everything filled in, checked as its trainings will check it."""

import sys
from typing import Any

import torch

from metrics import metric, metric_class, options_of
from paramrel.data import dataset
from paramrel.method import METHODS, method
from paramrel.rng import Rng
from paramrel.training import Batches
from suite.graph.cells import Cell, cells, make_cell, n_images, skipped, variants
from suite.graph.config import Evaluate, Preset
from suite.graph.names import metric_names


def checked(preset: Preset) -> dict[str, Any]:
    """Every field of a preset as plain values, and of each of its trainings under ``cells``.

    Raises ``UserError`` for what ``paramrel train`` would refuse. Files that are missing are named on standard error,
    for they may lie on another machine.
    """
    missing: list[str] = []
    made = cells(preset, missing)
    for line in missing:
        print(f"warning: {line}", file=sys.stderr)
    first_seed = [cell for cell in made if cell.seed == preset.seeds[0]]
    for cell in first_seed:
        check(cell)
    _check_what_is_not_run(preset)
    return {
        "datasets": list(preset.datasets),
        "seeds": list(preset.seeds),
        "evaluate": _evaluate(preset.evaluate),
        "runtime": preset.runtime.model_dump(mode="json"),
        "cells": {f"{cell.dataset}/{cell.method}-{cell.variant}": _every_field(cell) for cell in first_seed},
        "skipped": {f"{data}/{name}": reason for data, name, reason in skipped(preset)},
    }


def check(cell: Cell) -> None:
    """Raises ``UserError`` for what a training of ``cell`` would refuse: its method is built, if it can be without
    numbers, and the batch compared with the images."""
    try:
        with torch.device("meta"):
            cell.build()
    except (NotImplementedError, RuntimeError):  # it computes with tensors while it is built
        cell.build()
    n = n_images(cell.dataset)
    if n is not None and method(cell.method).trained:
        Batches(n, cell.train.batch_size, Rng((0,)))


def _check_what_is_not_run(preset: Preset) -> None:
    """Settings of methods that no data set of the preset runs: `paramrel train` can name these too."""
    known = [name for name in preset.datasets if n_images(name) is not None]
    for data in known[:1]:
        for name in set(preset.per_method) - set(METHODS.broken):
            for variant in variants(preset, name):
                make_cell(preset, data, name, variant, preset.seeds[0])


def _every_field(cell: Cell) -> dict[str, Any]:
    """What decides a training; those of the other seeds are the same."""
    return {
        "versions": {"dataset": dataset(cell.dataset).version, "method": method(cell.method).version},
        "config": cell.config.model_dump(mode="json"),
        "network": cell.network.model_dump(mode="json"),
        "train": cell.train.model_dump(mode="json") if method(cell.method).trained else None,
    }


def _evaluate(evaluate: Evaluate) -> dict[str, Any]:
    names = metric_names(evaluate)
    families = {metric_class(name).family or name: name for name in names}
    options = {family: metric(name, options_of(name, evaluate.options)).config for family, name in families.items()}
    filled = {family: config.model_dump(mode="json") for family, config in options.items() if type(config).model_fields}
    return evaluate.model_dump(mode="json") | {"metrics": list(names), "options": filled}
