rule extract:
    input:
        f"{DATA}/category.json",
    output:
        train=kept(f"{PATCHES}/train.npy"),
        test=kept(f"{PATCHES}/test.npy"),
        masks=kept(f"{PATCHES}/masks.npy"),
        category=f"{PATCHES}/category.json",
        story=f"{PATCHES}/features.json",
    log:
        "logs/{dataset}/{category}/extract-{features}.log",
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=GPUS,
    params:
        recipe=lambda wildcards: FEATURES[wildcards.features].model_dump_json(
            include={"features"}
        ),
        weights=config["weights_folder"],
        device=config["device"],
        code=source_hash("features"),
    shell:
        "reconpatch extract --category {input} --recipe {params.recipe:q} --weights {params.weights:q}"
        " --device {params.device} --threads {threads} --output $(dirname {output.story})"
        " 2>&1 | tee {log}"
