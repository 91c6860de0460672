# Plain arrays in, numbers out: no model.


rule evaluate:
    input:
        of_cell(PLAN.codes),
    output:
        f"{RUNS}/{{cell}}/{PLAN.metrics}",
    log:
        "logs/evaluate/{cell}.log",
    benchmark:
        "logs/benchmark/evaluate/{cell}.tsv"
    group:
        "measure"
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        metrics=PLAN.metric_arguments,
        seed=PLAN.probe_seed,
        state=STATE,
        labels="",
    shell:
        "paramrel evaluate {input:q} {params.metrics} --seed {params.seed} --jobs {threads} {params.labels}"
        " --out {output:q} --state {params.state:q} > {log:q} 2>&1"


# Once per data set: the same metrics on shuffled labels.
use rule evaluate as control with:
    output:
        f"{RUNS}/{{cell}}/{PLAN.control}",
    log:
        "logs/control/{cell}.log",
    benchmark:
        "logs/benchmark/control/{cell}.tsv"
    params:
        metrics=PLAN.metric_arguments,
        seed=PLAN.probe_seed,
        state=STATE,
        labels="--shuffle-labels",
