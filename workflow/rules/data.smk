# Data sets that are converted or rendered once. The arrays lie in the cache ($PARAMREL_CACHE); a copy of their card marks
# that they are there. Nothing is downloaded here: that is `paramrel data prepare NAME`.


localrules:
    every_data_set,


rule every_data_set:
    input:
        [PLAN.card(name) for name in PLAN.prepared],


rule data:
    output:
        f"{STATE}/data/{{dataset}}-v{{version}}.json",
    log:
        "logs/data/{dataset}-v{version}.log",
    benchmark:
        "logs/benchmark/data/{dataset}-v{version}.tsv"
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    shell:
        "paramrel data prepare {wildcards.dataset} --no-download --card {output:q} > {log:q} 2>&1"
