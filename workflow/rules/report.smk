rule figure:
    input:
        figure_inputs,
    output:
        multiext(f"reports/{SUITE.name}/figures/{{figure}}", ".svg", ".png"),
    log:
        f"logs/{SUITE.name}-{{figure}}.log",
    conda:
        "../../environment.yml"
    params:
        data_root=config["data_root"],
        runs=lambda wildcards: run_names(runs_of(SUITE, wildcards.figure)),
        code=source_hash("reporting"),
    shell:
        f"reconpatch figure --suite {SUITE.name}"
        " --name {wildcards.figure} --data-root {params.data_root:q} 2>&1 | tee {log:q}"


rule report:
    input:
        batches=[f"results/batches/{batch}.json" for batch in BATCHES],
        timed=rules.time_inference.output,
        figures=[f"reports/{SUITE.name}/figures/{name}.png" for name in FIGURES],
        suite=SUITE_FILE,
        published=[
            str(path)
            for table in SUITE.experiments.tables
            if (path := Path(f"config/published/{table}.csv")).is_file()
        ],
    output:
        page=f"reports/{SUITE.name}/report.html",
        tables=[
            f"reports/{SUITE.name}/tables/{table}.{form}"
            for table in SUITE.experiments.tables
            for form in ("csv", "md", "tex")
        ],
    log:
        f"logs/{SUITE.name}-report.log",
    conda:
        "../../environment.yml"
    params:
        data_root=config["data_root"],
        experiments=SUITE.experiments.key,
        code=source_hash("reporting"),
    shell:
        f"reconpatch report --suite {SUITE.name} --data-root {{params.data_root:q}} 2>&1 | tee {{log:q}}"
