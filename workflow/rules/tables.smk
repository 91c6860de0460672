# No group here or for figures: Snakemake asks a group for all its inputs whenever one is made, which grows with the
# square of the number of cells.
# Tables: pure functions of the cells' files.


rule tables:
    input:
        of_every_cell(PLAN.metrics),
        of_some_cells(PLAN.controls()),
        of_every_cell("run.json"),
        of_every_cell(PLAN.timing),
        of_every_cell("metrics.jsonl"),
        PLAN.due("tables"),
    output:
        report(
            PLAN.tables(),
            caption="../report/tables.rst",
            category="Tables",
            subcategory=PLAN.name,
        ),
        stamp=PLAN.stamp("tables"),
    log:
        f"logs/tables/{PLAN.name}.log",
    benchmark:
        f"logs/benchmark/tables/{PLAN.name}.tsv"
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 1500 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        common=COMMON,
        state=lambda wildcards: STATE,
    shell:
        "paramrel table {params.common} --state {params.state:q} --stamp {output.stamp:q} > {log:q} 2>&1"
