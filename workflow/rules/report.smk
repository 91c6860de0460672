# What a run says at its end, and the text of `snakemake --report report.html`.


report: "../report/workflow.rst"


# One page of all results. It takes the figures from where they were drawn, so that a figure that is removed from the
# results is copied again and nothing else is done.
rule report_page:
    input:
        PLAN.stamp("tables"),
        of_some_cells(PLAN.explorers()),
        due=PLAN.due("report"),
        drawn=expand("{folder}/{figure}.png", folder=PLAN.drawn, figure=FIGURE_NAMES),
    output:
        report(
            PLAN.report(),
            caption="../report/page.rst",
            category="Report",
            subcategory=PLAN.name,
        ),
        stamp=PLAN.stamp("report"),
    log:
        f"logs/report/{PLAN.name}.log",
    benchmark:
        f"logs/benchmark/report/{PLAN.name}.tsv"
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 1500 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        common=COMMON,
        state=lambda wildcards: STATE,
        drawn=lambda wildcards, input: Path(input.drawn[0]).parent,
    shell:
        "paramrel report {params.common} --state {params.state:q} --drawn {params.drawn:q} --stamp {output.stamp:q} > {log:q} 2>&1"


# Before the first job, and not in a dry run.
onstart:
    if IS_MAIN and workflow.executor_plugin.name == "slurm":
        check_cluster()


onerror:
    if IS_MAIN:
        shell(
            "paramrel status --failed {COMMON} --state {STATE:q} --snakemake-log {log:q} || true"
        )
