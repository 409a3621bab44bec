rule demo:
    output:
        directory("results/demo"),
    log:
        "logs/demo.log",
    conda:
        "../../environment.yml"
    params:
        code=source_hash("datasets"),
    shell:
        "reconpatch write-demo --output {output:q} 2>&1 | tee {log:q}"


rule inspect:
    input:
        category_folders,
    output:
        f"{DATA}/category.json",
    log:
        "logs/{dataset}/{category}/inspect.log",
    # Trouble with the data shows before hours of work, not after.
    priority: 100
    conda:
        "../../environment.yml"
    params:
        source=lambda wildcards: SOURCES[wildcards.dataset].model_dump_json(),
        code=source_hash("datasets"),
    shell:
        "reconpatch inspect --source {params.source:q} --category {wildcards.category:q}"
        " --output {output:q} 2>&1 | tee {log:q}"
