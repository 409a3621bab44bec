rule demo:
    output:
        directory("results/demo"),
    log:
        "logs/demo.log",
    benchmark:
        "logs/benchmarks/demo.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
        runtime=10,
        disk_mb=100,
    params:
        code=code_fingerprint(*STEPS["demo"]),
    shell:
        "reconpatch write-demo --output {output:q} 2>&1 | tee {log:q}"


# These are no work for a cluster, whose nodes often have no network.
for NAME, ROOT in TO_FETCH.items():

    checkpoint:
        name:
            f"fetch_{NAME}"
        output:
            f"{ROOT}/{STAMP}",
        log:
            f"logs/fetch-{NAME}.log",
        benchmark:
            f"logs/benchmarks/fetch-{NAME}.tsv"
        # Whatever cannot be had shows before hours of work, not after.
        priority: 200
        localrule: True
        conda:
            "../../environment.yml"
        resources:
            mem_mb=1000,
            runtime=600,
            # The archive, and what comes out of it.
            disk_mb=int(2 * 1074 * CATALOGUE[NAME].unpacked_gib),
        params:
            suite=SUITE.name,
            dataset=NAME,
            data_root=lambda wildcards: config["data_root"],
            weights=config["weights_folder"],
            accept=" ".join(f"--accept {name}" for name in ACCEPTED),
        shell:
            "reconpatch fetch --suite {params.suite} --only {params.dataset} --only weights"
            " {params.accept} --data-root {params.data_root:q} --weights {params.weights:q}"
            " 2>&1 | tee {log:q}"


# It has no benchmark, which would count as its output: once written, nothing would be done again.
rule data:
    log:
        f"logs/data-{SUITE.name}.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
        runtime=600,
        disk_mb=int(2 * 1074 * sum(CATALOGUE[name].unpacked_gib for name in TO_FETCH)),
    params:
        suite=SUITE.name,
        data_root=config["data_root"],
        weights=config["weights_folder"],
        accept=" ".join(f"--accept {name}" for name in ACCEPTED),
    shell:
        "reconpatch fetch --suite {params.suite} {params.accept} --data-root {params.data_root:q}"
        " --weights {params.weights:q} 2>&1 | tee {log:q}"


rule inspect:
    input:
        category_folders,
    output:
        f"{DATA}/category.json",
    log:
        "logs/{dataset}/{category}/inspect.log",
    benchmark:
        "logs/benchmarks/{dataset}/{category}/inspect.tsv"
    # Trouble with the data shows before hours of work, not after.
    priority: 100
    conda:
        "../../environment.yml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * inspection_needs(wildcards).mem_mb,
        runtime=lambda wildcards, attempt: attempt * inspection_needs(wildcards).runtime,
        disk_mb=lambda wildcards: inspection_needs(wildcards).disk_mb,
    params:
        source=lambda wildcards: SOURCES[wildcards.dataset].model_dump_json(),
        kind=lambda wildcards: kind_in(SOURCES[wildcards.dataset], wildcards.category)
        or "unknown",
        code=lambda wildcards: reader_code(SOURCES[wildcards.dataset]),
        states=image_states,
    shell:
        "reconpatch inspect --source {params.source:q} --category {wildcards.category:q}"
        " --output {output:q} 2>&1 | tee {log:q}"
