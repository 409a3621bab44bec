rule measure:
    input:
        batch_inputs,
    output:
        f"{BATCH}.json",
    log:
        "logs/{dataset}/{category}/{experiment}.log",
    # Features that are here are used up before more are made: they may be many gigabytes.
    priority: 30
    conda:
        "../../environment.yml"
    threads: config["threads"]
    # Another way to use the GPU gives the same results: were it a parameter, all jobs would be stale.
    resources:
        gpu=GPUS,
        cuda_graph=CUDA_GRAPH,
    params:
        data_root=config["data_root"],
        weights=config["weights_folder"],
        textures=TEXTURES,
        device=config["device"],
        runs=lambda wildcards: run_names(batch_of(wildcards).runs),
        code=source_hash("evaluation"),
    shell:
        f"reconpatch measure --suite {SUITE.name}"
        " --experiment {wildcards.experiment} --dataset {wildcards.dataset:q}"
        " --category {wildcards.category:q} --data-root {params.data_root:q}"
        " --weights {params.weights:q} --textures {params.textures:q}"
        " --device {params.device} --threads {threads}"
        " --cuda-graph {resources.cuda_graph} 2>&1 | tee {log:q}"


rule time_inference:
    input:
        measured(TIMED),
    output:
        [f"results/runs/{run.id}/inference.json" for run in TIMED],
    log:
        f"logs/time-inference-{SUITE.name}.log",
    conda:
        "../../environment.yml"
    # Nothing else runs beside it, as that would count.
    threads: workflow.cores
    resources:
        gpu=GPUS,
    params:
        data_root=config["data_root"],
        weights=config["weights_folder"],
        device=config["device"],
        threads=config["threads"],
        code=source_hash("evaluation"),
    shell:
        f"reconpatch time-inference --suite {SUITE.name}"
        " --data-root {params.data_root:q} --weights {params.weights:q}"
        " --device {params.device} --threads {params.threads} 2>&1 | tee {log:q}"
