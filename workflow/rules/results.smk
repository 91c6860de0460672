# Tables and figures: pure functions of the cells' files.


rule tables:
    input:
        PLAN.every(PLAN.metrics),
        PLAN.every("run.json"),
    output:
        PLAN.tables(),
    log:
        f"logs/tables/{PLAN.name}.log",
    benchmark:
        f"logs/benchmark/tables/{PLAN.name}.tsv"
    params:
        stamp=f"{PLAN.built}/tables",
    threads: 1
    resources:
        gpu=0,
        mem_mb=1500,
        runtime=30,
    shell:
        "paramrel table {COMMON} --results {PLAN.results} > {log} 2>&1"
        " && touch {params.stamp}"


rule figure:
    input:
        PLAN.every(PLAN.codes),
        PLAN.every("metrics.jsonl"),
    output:
        PLAN.figure("{figure}"),
    log:
        f"logs/figures/{PLAN.name}-{{figure}}.log",
    benchmark:
        f"logs/benchmark/figures/{PLAN.name}-{{figure}}.tsv"
    params:
        stamp=f"{PLAN.built}/{{figure}}",
    threads: 1
    resources:
        gpu=0,
        mem_mb=1500,
        runtime=30,
    shell:
        "paramrel figures --only {wildcards.figure} {COMMON}"
        " --results {PLAN.results} > {log} 2>&1 && touch {params.stamp}"
