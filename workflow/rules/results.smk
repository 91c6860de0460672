# Tables and figures: pure functions of the cells' files.


rule tables:
    input:
        PLAN.every(PLAN.metrics),
        PLAN.controls(),
        PLAN.every("run.json"),
    output:
        PLAN.tables(),
        stamp=touch(PLAN.stamp("tables")),
    log:
        f"logs/tables/{PLAN.name}.log",
    benchmark:
        f"logs/benchmark/tables/{PLAN.name}.tsv"
    params:
        common=COMMON,
    threads: 1
    resources:
        gpu=0,
        mem_mb=1500,
        runtime=30,
    shell:
        "paramrel table {params.common} > {log} 2>&1"


rule figure:
    input:
        PLAN.every(PLAN.codes),
        PLAN.every("metrics.jsonl"),
    output:
        PLAN.figure("{figure}"),
        stamp=touch(PLAN.stamp("{figure}")),
    log:
        f"logs/figures/{PLAN.name}-{{figure}}.log",
    benchmark:
        f"logs/benchmark/figures/{PLAN.name}-{{figure}}.tsv"
    params:
        common=COMMON,
    threads: 1
    resources:
        gpu=0,
        mem_mb=1500,
        runtime=30,
    shell:
        "paramrel figures --only {wildcards.figure} {params.common}"
        " > {log} 2>&1"
