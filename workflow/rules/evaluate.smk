# What needs the model, once (encode), then plain arrays in, numbers out (evaluate).


rule encode:
    input:
        f"{RUNS}/{{cell}}/model.safetensors",
    output:
        f"{RUNS}/{{cell}}/{PLAN.codes}",
    log:
        "logs/encode/{cell}.log",
    benchmark:
        "logs/benchmark/encode/{cell}.tsv"
    params:
        cell=arguments,
        common=COMMON,
    threads: THREADS
    resources:
        gpu=n_gpus,
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    shell:
        "paramrel encode {params.cell} {params.common} > {log} 2>&1"


rule evaluate:
    input:
        f"{RUNS}/{{cell}}/{PLAN.codes}",
    output:
        f"{RUNS}/{{cell}}/{PLAN.metrics}",
    log:
        "logs/evaluate/{cell}.log",
    benchmark:
        "logs/benchmark/evaluate/{cell}.tsv"
    params:
        metrics=PLAN.metric_arguments,
        seed=PLAN.preset.evaluate.probe_seed,
        labels="",
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    shell:
        "paramrel evaluate {input} {params.metrics} --seed {params.seed} --jobs {threads} {params.labels}"
        " --out {output} > {log} 2>&1"


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
        seed=PLAN.preset.evaluate.probe_seed,
        labels="--shuffle-labels",
