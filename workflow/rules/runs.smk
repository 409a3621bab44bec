rule train:
    input:
        unpack(patches),
    output:
        network=f"{RUN}/representation.safetensors",
        history=f"{RUN}/training.parquet",
        story=f"{RUN}/training.json",
    log:
        "logs/{dataset}/{category}/train-{recipe}-{seed}.log",
    # Features that are here are used up before more are made: they may be many gigabytes.
    priority: 30
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=GPUS,
    params:
        recipe=lambda wildcards: RECIPES[wildcards.recipe].model_dump_json(),
        device=config["device"],
        code=source_hash("representation"),
    shell:
        "reconpatch train --features $(dirname {input.features}) --recipe {params.recipe:q}"
        " --seed {wildcards.seed} --device {params.device} --threads {threads}"
        " --output $(dirname {output.story}) 2>&1 | tee {log}"


rule detect:
    input:
        unpack(patches),
        representation=representation,
    output:
        bank=f"{RUN}/memory_bank.safetensors",
        scores=f"{RUN}/scores.parquet",
        patch_scores=f"{RUN}/patch_scores.npz",
        story=f"{RUN}/detection.json",
    log:
        "logs/{dataset}/{category}/detect-{recipe}-{seed}.log",
    priority: 40
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=GPUS,
    params:
        recipe=lambda wildcards: RECIPES[wildcards.recipe].model_dump_json(),
        device=config["device"],
        code=source_hash("detection"),
    shell:
        "reconpatch detect --features $(dirname {input.features}) --recipe {params.recipe:q}"
        " --seed {wildcards.seed} --device {params.device} --threads {threads}"
        " --output $(dirname {output.story}) 2>&1 | tee {log}"


rule evaluate:
    input:
        unpack(patches),
        scores=f"{RUN}/scores.parquet",
        patch_scores=f"{RUN}/patch_scores.npz",
        detection=f"{RUN}/detection.json",
    output:
        f"{RUN}/metrics.json",
    log:
        "logs/{dataset}/{category}/evaluate-{recipe}-{seed}.log",
    priority: 50
    conda:
        "../../environment.yml"
    params:
        recipe=lambda wildcards: RECIPES[wildcards.recipe].model_dump_json(),
        code=source_hash("evaluation"),
    shell:
        "reconpatch evaluate --features $(dirname {input.features}) --recipe {params.recipe:q}"
        " --seed {wildcards.seed} --output $(dirname {output}) 2>&1 | tee {log}"
