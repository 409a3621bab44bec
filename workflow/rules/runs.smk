rule measure:
    input:
        batch_inputs,
    output:
        f"{BATCH}.json",
    log:
        "logs/{dataset}/{category}/{experiment}.log",
    benchmark:
        "logs/benchmarks/{dataset}/{category}/{experiment}.tsv"
    # Features that are here are used up before more are made: they may be many gigabytes.
    priority: 30
    conda:
        "../../environment.yml"
    threads: config["threads"]
    # Another way to use the GPU gives the same results: were it a parameter, all jobs would be stale.
    resources:
        gpu=GPUS,
        mem_mb=lambda wildcards, attempt: attempt * batch_needs(wildcards).mem_mb,
        runtime=lambda wildcards, attempt: attempt * batch_needs(wildcards).runtime,
        disk_mb=lambda wildcards, attempt: attempt * batch_needs(wildcards).disk_mb,
        cuda_graph=CUDA_GRAPH,
    params:
        data_root=config["data_root"],
        weights=config["weights_folder"],
        textures=TEXTURES,
        device=config["device"],
        precision=config["matrix_precision"],
        runs=lambda wildcards: run_names(batch_of(wildcards).runs),
        code=lambda wildcards: code_fingerprint(*batch_of(wildcards).modules),
    shell:
        f"reconpatch measure --suite {SUITE.name}"
        " --experiment {wildcards.experiment} --dataset {wildcards.dataset:q}"
        " --category {wildcards.category:q} --data-root {params.data_root:q}"
        " --weights {params.weights:q} --textures {params.textures:q}"
        " --device {params.device} --matrix-precision {params.precision} --threads {threads}"
        " --cuda-graph {resources.cuda_graph} 2>&1 | tee {log:q}"


rule time_inference:
    input:
        measured(TIMED),
    output:
        [f"results/runs/{run.id}/inference.json" for run in TIMED],
    log:
        f"logs/time-inference-{SUITE.name}.log",
    benchmark:
        f"logs/benchmarks/time-inference-{SUITE.name}.tsv"
    conda:
        "../../environment.yml"
    # Nothing else runs beside it here, as that would count. On a cluster it asks for its own, and
    # again for as many when it is there, where the cores are the node's.
    threads: (not workflow.remote_exec and workflow.resource_settings.cores) or config["threads"]
    resources:
        gpu=GPUS,
        mem_mb=lambda wildcards, attempt: attempt * PROCESS_MB,
        runtime=lambda wildcards, attempt: attempt * (10 + 2 * len(TIMED)),
        disk_mb=100,
    params:
        data_root=config["data_root"],
        weights=config["weights_folder"],
        device=config["device"],
        precision=config["matrix_precision"],
        threads=config["threads"],
        code=code_fingerprint(*STEPS["time"]),
    shell:
        f"reconpatch time-inference --suite {SUITE.name}"
        " --data-root {params.data_root:q} --weights {params.weights:q}"
        " --device {params.device} --matrix-precision {params.precision}"
        " --threads {params.threads} 2>&1 | tee {log:q}"
