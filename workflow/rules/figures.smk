# Figures: pure functions of the cells' arrays.


rule figure:
    input:
        of_every_cell(PLAN.codes),
        of_every_cell("metrics.jsonl"),
    output:
        report(
            PLAN.figure("{figure}"),
            caption="../report/figure.rst",
            category="Figures",
            subcategory=PLAN.name,
            labels={"figure": "{figure}"},
        ),
        stamp=PLAN.stamp("{figure}"),
    log:
        f"logs/figures/{PLAN.name}-{{figure}}.log",
    benchmark:
        f"logs/benchmark/figures/{PLAN.name}-{{figure}}.tsv"
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 1500 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        common=COMMON,
    shell:
        "paramrel figures --only {wildcards.figure} {params.common} --stamp {output.stamp} > {log} 2>&1"
