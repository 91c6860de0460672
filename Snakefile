# The whole benchmark as one graph: data -> train -> encode -> evaluate -> tables, figures, report.
#
#   snakemake                                   the preset that params.yaml names, on this machine
#   snakemake --config preset=small             another preset
#   snakemake --config params=my.yaml           another parameter file
#   snakemake --profile slurm                   on a cluster; docs/pipeline.md
#
# Trained things lie in runs/<data set>/<method>-<variant>/seed<k>-<hash>/; the hash covers the resolved configuration
# and the version of the code, so a changed setting can never meet a stale result.


# Only read with --software-deployment-method; the environment is the lock.
container: "docker://python:3.11-slim"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/encode.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    every_cell,
    figure,


rule all:
    default_target: True
    input:
        PLAN.targets(),


# Everything that takes long: what DVC keeps.
rule every_cell:
    input:
        of_every_cell("model.safetensors"),
        of_every_cell("run.json"),
        of_every_cell(PLAN.codes),
        of_every_cell(PLAN.metrics),
        of_some_cells(PLAN.controls()),
        of_some_cells(PLAN.explorers()),
