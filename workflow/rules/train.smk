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
    params:
        cell=arguments,
        common=COMMON,
        state=PLAN.state,
    threads: THREADS
    resources:
        gpu=n_gpus,
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    shell:
        "paramrel train {params.cell} {params.common} --state {params.state} > {log} 2>&1"
