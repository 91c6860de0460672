# Configuration, checked while the graph is built, and what rules share.

import os
import re
import sys

from snakemake.utils import validate

from paramrel.errors import UserError
from suite.show.captions import CAPTIONS
from suite.graph.locks import enter_run
from suite.graph.plan import Plan
from suite.graph.results import FIGURE_NAMES

IS_MAIN = workflow.is_main_process

try:
    # A job on a cluster parses this file again: it takes the plan that the first Snakemake wrote down.
    PLAN = Plan.read(config, for_jobs=True) if IS_MAIN else Plan.recall(config)
    if IS_MAIN:
        PLAN.remember(config)
        if enter_run(Path(PLAN.state), Path(".snakemake")):
            print("Removed the lock of a Snakemake that was killed.", file=sys.stderr)
        for stamp in PLAN.drop_false_stamps():
            print(
                f"Made anew, for they are not what was made: {stamp}", file=sys.stderr
            )
except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    os._exit(2)  # one line instead of a traceback through Snakemake

if IS_MAIN:
    import yaml

    validate(
        yaml.safe_load(open(PLAN.config)), "../params.schema.json", set_default=False
    )

RUNS, STATE = PLAN.runs, PLAN.state
# Said to every command. Parameters do not trigger reruns (see profiles/default); hashes in the paths do.
COMMON = f"--config {PLAN.config} --preset {PLAN.name} --runs {RUNS}"

# On a cluster the jobs of a group run one after the other (Slurm's plugin waits for each), so they ask for the cores
# and the memory of one, and for the time of all; the cores of the machine that submits say nothing of the nodes'.
if IS_MAIN and workflow.resource_settings.nodes is not None:
    workflow.resource_settings.cores = sys.maxsize
    workflow.register_resource("_cores", PLAN.threads)

# GPUs of this machine are handed out one job at a time (runtime.trainings_per_gpu: several). Clusters count their own.
if (
    IS_MAIN
    and workflow.resource_settings.nodes is None
    and "gpu" not in workflow.global_resources
):
    workflow.register_resource("gpu", max(1, PLAN.n_gpus * PLAN.trainings_per_gpu))


def either(names):
    """A regular expression that matches one of the names, and nothing if there are none."""
    return "(" + "|".join(sorted(map(re.escape, names))) + ")" if names else "(?!)"


def cells_where(wanted):
    """A regular expression for the paths of some of the configured cells (short, however many seeds there are)."""
    chosen = [cell for cell in PLAN.cells.values() if wanted(cell)]
    return "/".join(
        [
            either({cell.dataset for cell in chosen}),
            either({f"{cell.method}-{cell.variant}" for cell in chosen}),
            f"seed{either({str(cell.seed) for cell in chosen})}-[0-9a-f]{{10}}",
        ]
    )


wildcard_constraints:
    cell=cells_where(lambda cell: True),
    dataset=either(PLAN.data_versions),
    version="[0-9]+",
    figure=either(FIGURE_NAMES),


def planned(wildcards):
    """The configured cell that a path belongs to."""
    if wildcards.cell not in PLAN.cells:
        raise WorkflowError(
            f"{wildcards.cell} belongs to another configuration than preset {PLAN.name}"
        )
    return PLAN.cells[wildcards.cell]


def arguments(wildcards):
    """The command line's name of a cell."""
    cell = planned(wildcards)
    return f"--dataset {cell.dataset} --method {cell.method} --variant {cell.variant} --seed {cell.seed}"


def n_gpus(wildcards):
    """GPUs of a job that runs a model: none where the device is chosen automatically and there is none."""
    return int(PLAN.device == "cuda" or (PLAN.device == "auto" and PLAN.n_gpus > 0))


def check_cluster():
    """Ask Slurm once for what jobs will ask of it; one line where it would refuse."""
    from snakemake.logging import logger
    from snakemake_executor_plugin_slurm.accounts import validate_account

    from suite.graph.cluster import check

    jobs = [
        job for job in workflow.dag.needrun_jobs() if not workflow.is_local(job.rule)
    ]
    try:
        check(
            [job.resources for job in jobs], lambda name: validate_account(name, logger)
        )
    except UserError as error:
        raise WorkflowError(f"error: {error}")


# Paths name what files were made from, so their time stamps mean nothing: a checkout or a pull must not rerun anything.
def of_cell(name):
    """A file of the rule's cell, as an input."""
    return ancient(f"{RUNS}/{{cell}}/{name}")


def of_every_cell(name):
    """A file of every cell, as inputs."""
    return ancient(PLAN.every(name))


def prepared(wildcards):
    """The card of a cell's data set, whatever its age; nothing for sets that need no preparation, and for cells that
    are trained: a card that is missing here (trained by hand, or pulled) would be made, and its making train them anew.
    """
    name = planned(wildcards).dataset
    files = ("model.safetensors", "run.json", "metrics.jsonl")
    trained = all(Path(RUNS, wildcards.cell, file).exists() for file in files)
    return ancient(PLAN.card(name)) if name in PLAN.prepared and not trained else []
