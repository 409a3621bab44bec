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
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=GPUS,
    params:
        patches=lambda wildcards: EXTRACTIONS[wildcards.patches].model_dump_json(),
        weights=config["weights_folder"],
        device=config["device"],
        precision=config["matrix_precision"],
        code=source_hash("features"),
    shell:
        "reconpatch extract --category {input:q} --patches {params.patches:q} --weights {params.weights:q}"
        " --device {params.device} --matrix-precision {params.precision} --threads {threads}"
        ' --output "$(dirname {output.record:q})"'
        " 2>&1 | tee {log:q}"
