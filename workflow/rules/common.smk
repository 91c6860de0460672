# Configuration, checked while the graph is built, and what rules share.

import os
import re
import shlex
import sys

from snakemake.settings.types import RerunTrigger
from snakemake.utils import validate

from paramrel.errors import UserError
from suite.show.captions import CAPTIONS
from suite.graph.locks import enter_run
from suite.graph.plan import Plan
from suite.graph.results import FIGURE_NAMES

IS_MAIN = workflow.is_main_process

try:
    # A job on a cluster parses this file again: it takes the plan that the first Snakemake wrote down and named.
    if IS_MAIN:
        PLAN = Plan.read(config, for_jobs=True)
        workflow.config_settings.config_args = [
            *(workflow.config_settings.config_args or ()),
            f"plan={PLAN.remember()}",
        ]
        if enter_run(Path(PLAN.state), Path(".snakemake")):
            print("Removed the lock of a Snakemake that was killed.", file=sys.stderr)
        for path in PLAN.drop_stale():
            print(
                f"Removed, for it is not of its cell's weights: {path}", file=sys.stderr
            )
        for stamp in PLAN.drop_false_stamps():
            print(f"No longer what was made, to be made anew: {stamp}", file=sys.stderr)
    else:
        PLAN = Plan.recall(Path(config["plan"]))
except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    os._exit(2)  # one line instead of a traceback through Snakemake

if IS_MAIN:
    import yaml

    validate(
        yaml.safe_load(open(PLAN.config)), "../params.schema.json", set_default=False
    )

RUNS, STATE = PLAN.runs, PLAN.state
# Said to every command.
COMMON = shlex.join(["--config", PLAN.config, "--preset", PLAN.name, "--runs", RUNS])

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
    words = ["--dataset", cell.dataset, "--method", cell.method]
    return shlex.join([*words, "--variant", cell.variant, "--seed", str(cell.seed)])


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


def forced():
    """Whether something that cells' files are made of is forced (--forcerun train): then all that is made of it is wanted
    anew.

    Also says here, where no profile can replace it, that time stamps alone decide: settings and versions are part of every
    path. Called by functions of inputs, for Snakemake knows how it was called only after it has read this file.
    """
    workflow.dag_settings.rerun_triggers = frozenset({RerunTrigger.MTIME})
    made_of = ("train", "fit", "encode", "explore", "evaluate", "control")
    return any(
        name in made_of or name.startswith(f"{RUNS}/")
        for name in workflow.dag_settings.forcerun
    )


def settled(paths):
    """Files of cells, as inputs. Paths name what they were made from, so their time stamps mean nothing: a checkout or a
    pull must not rerun anything."""
    return paths if forced() else ancient(paths)


def of_cell(name):
    """A file of the rule's cell, as an input."""
    return lambda wildcards: settled(f"{RUNS}/{wildcards.cell}/{name}")


def of_every_cell(name):
    """A file of every cell, as inputs."""
    return lambda wildcards: settled(PLAN.every(name))


def of_some_cells(paths):
    """Files of cells that not every cell has, as inputs."""
    return lambda wildcards: settled(paths)


def prepared(wildcards):
    """The card of a cell's data set, whatever its age; nothing for sets that need no preparation, and for cells that
    are trained: a card that is missing here (trained by hand, or pulled) would be made, and its making train them anew.
    """
    forced()
    name = planned(wildcards).dataset
    files = ("model.safetensors", "run.json", "metrics.jsonl")
    trained = all(Path(RUNS, wildcards.cell, file).exists() for file in files)
    return ancient(PLAN.card(name)) if name in PLAN.prepared and not trained else []
