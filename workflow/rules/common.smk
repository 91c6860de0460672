# Configuration, checked while the graph is built, and what rules share.

import os
import re
import sys

import torch
from snakemake.utils import validate

from paramrel.errors import UserError
from suite.plan import Plan
from suite.results import FIGURE_NAMES

try:
    PLAN = Plan.read(config)
except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    os._exit(2)  # one line instead of a traceback through Snakemake

validate(PLAN.params.model_dump(mode="json", exclude_none=True), "../params.schema.json", set_default=False)

RUNS, THREADS, DEVICE = PLAN.runs, PLAN.preset.runtime.threads, PLAN.preset.runtime.device
# Said to every command. Parameters do not trigger reruns (see profiles/default); hashes in the paths do.
COMMON = f"--config {PLAN.config} --preset {PLAN.name} --runs {PLAN.runs}"


wildcard_constraints:
    cell="|".join(map(re.escape, PLAN.cells)),
    figure="|".join(FIGURE_NAMES),


def arguments(wildcards):
    """The command line's name of a cell."""
    cell = PLAN.cells[wildcards.cell]
    return f"--dataset {cell.dataset} --method {cell.method} --variant {cell.variant} --seed {cell.seed}"


def n_gpus(wildcards):
    """GPUs of a job that runs a model: none where the device is chosen automatically and there is none."""
    return int(DEVICE == "cuda" or (DEVICE == "auto" and torch.cuda.is_available()))


def prepared(wildcards):
    """The card of a cell's data set, whatever its age; nothing for sets that need no preparation."""
    name = PLAN.cells[wildcards.cell].dataset
    return ancient(PLAN.card(name)) if name in PLAN.prepared else []
