rule extract:
    input:
        f"{DATA}/category.json",
    output:
        train=kept(f"{PATCHES}/train.npy"),
        test=kept(f"{PATCHES}/test.npy"),
        # Small, and figures go on wanting them.
        masks=f"{PATCHES}/masks.npy",
        category=f"{PATCHES}/category.json",
        record=f"{PATCHES}/features.json",
    log:
        "logs/{dataset}/{category}/extract-{patches}.log",
    benchmark:
        "logs/benchmarks/{dataset}/{category}/extract-{patches}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=GPUS,
        mem_mb=lambda wildcards, attempt: attempt * extraction_needs(wildcards).mem_mb,
        runtime=lambda wildcards, attempt: attempt * extraction_needs(wildcards).runtime,
        disk_mb=lambda wildcards: extraction_needs(wildcards).disk_mb,
    params:
        patches=lambda wildcards: EXTRACTIONS[wildcards.patches].model_dump_json(),
        weights=config["weights_folder"],
        weight_states=weight_states,
        device=config["device"],
        precision=config["matrix_precision"],
        code=code_fingerprint(*STEPS["extract"]),
    shell:
        "reconpatch extract --category {input:q} --patches {params.patches:q} --weights {params.weights:q}"
        " --device {params.device} --matrix-precision {params.precision} --threads {threads}"
        ' --output "$(dirname {output.record:q})"'
        " 2>&1 | tee {log:q}"
