# The whole benchmark as one graph: data -> train -> encode -> evaluate -> tables, figures.
#
#   snakemake                                   the preset that params.yaml names
#   snakemake --config preset=small             another preset
#   snakemake --config params=my.yaml           another parameter file
#
# Trained things lie in runs/<data set>/<method>-<variant>/seed<k>-<hash>/; the hash covers the resolved configuration
# and the version of the code, so a changed setting can never meet a stale result.

# Only read with --software-deployment-method; the environment is the lock.
container: "docker://python:3.11-slim"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/results.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        PLAN.targets(),
