# What needs the model, once: codes, reconstructions, generated images, losses.


rule encode:
    input:
        of_cell("model.safetensors"),
    output:
        f"{RUNS}/{{cell}}/{PLAN.codes}",
        f"{RUNS}/{{cell}}/{PLAN.timing}",
    log:
        "logs/encode/{cell}.log",
    benchmark:
        "logs/benchmark/encode/{cell}.tsv"
    priority: 1
    group:
        "encode"
    threads: PLAN.threads
    resources:
        gpu=n_gpus,
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        cell=arguments,
        common=COMMON,
        state=STATE,
    shell:
        "paramrel encode {params.cell} {params.common} --state {params.state:q} > {log:q} 2>&1"


# Frames for the report's explorer: the first seed of every method that makes images of codes.
rule explore:
    input:
        of_cell("model.safetensors"),
        of_cell(PLAN.codes),
    output:
        f"{RUNS}/{{cell}}/{PLAN.explorer}",
    log:
        "logs/explore/{cell}.log",
    benchmark:
        "logs/benchmark/explore/{cell}.tsv"
    group:
        "encode"
    threads: PLAN.threads
    resources:
        gpu=n_gpus,
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        cell=arguments,
        common=COMMON,
        state=STATE,
    shell:
        "paramrel explore {params.cell} {params.common} --state {params.state:q} > {log:q} 2>&1"
