# What a run says at its end, and the text of `snakemake --report report.html`.


report: "../report/workflow.rst"


onerror:
    if IS_MAIN:
        shell(
            "paramrel status --failed {COMMON} --state {STATE} --snakemake-log {log} || true"
        )
