# One training per job. Checkpoints lie under state/, outside the declared outputs, so that a rerun goes on from them.


rule train:
    input:
        prepared,
    output:
        model=f"{RUNS}/{{cell}}/model.safetensors",
        record=f"{RUNS}/{{cell}}/run.json",
        log=f"{RUNS}/{{cell}}/metrics.jsonl",
    log:
        "logs/train/{cell}.log",
    benchmark:
        "logs/benchmark/train/{cell}.tsv"
    wildcard_constraints:
        cell=cells_where(lambda cell: cell.trained),
    priority: 2  # the long ones first, so that no core waits for them at the end
    threads: PLAN.threads
    resources:
        gpu=n_gpus,
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    params:
        cell=arguments,
        common=COMMON,
        state=STATE,
    shell:
        "paramrel train {params.cell} {params.common} --state {params.state:q} > {log:q} 2>&1"


# What is not trained takes seconds: on a cluster several share a job.
use rule train as fit with:
    wildcard_constraints:
        cell=cells_where(lambda cell: not cell.trained),
    group:
        "fit"
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
