# Figures: pure functions of the cells' files.


# All in one process, which takes seconds to start.
rule draw:
    input:
        of_every_cell(PLAN.codes),
        of_every_cell(PLAN.metrics),
        of_every_cell("metrics.jsonl"),
        of_some_cells(PLAN.explorers()),
        PLAN.due("drawn"),
    output:
        expand(
            "{folder}/{figure}.{suffix}",
            folder=PLAN.drawn,
            figure=FIGURE_NAMES,
            suffix=["png", "pdf", "json"],
        ),
    log:
        f"logs/figures/{PLAN.name}.log",
    benchmark:
        f"logs/benchmark/figures/{PLAN.name}.tsv"
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        common=COMMON,
        state=lambda wildcards: STATE,
        folder=lambda wildcards, output: Path(output[0]).parent,
    shell:
        "paramrel figures {params.common} --state {params.state:q} --drawn {params.folder:q} > {log:q} 2>&1"


# One at a time, so that a figure that is removed or edited is the only one that is made again.
rule figure:
    input:
        pictures=multiext(f"{PLAN.drawn}/{{figure}}", ".png", ".pdf"),
        hashes=f"{PLAN.drawn}/{{figure}}.json",
        due=PLAN.due("{figure}"),
    output:
        pictures=report(
            PLAN.figure("{figure}"),
            caption="../report/figure.rst",
            category="Figures",
            subcategory=PLAN.name,
            labels={"figure": "{figure}"},
        ),
        stamp=PLAN.stamp("{figure}"),
    log:
        f"logs/figures/{PLAN.name}-{{figure}}.log",
    params:
        caption=lambda wildcards: CAPTIONS[wildcards.figure].text,
        folder=lambda wildcards, output: Path(output.pictures[0]).parent,
    shell:
        "(cp {input.pictures:q} {params.folder:q} && cp {input.hashes:q} {output.stamp:q}) > {log:q} 2>&1"
