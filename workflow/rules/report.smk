rule report:
    input:
        runs=[f"results/runs/{run.id}/metrics.json" for run in RUNS],
        suite=str(SUITE_FILE),
        published="config/published/table5.csv",
    output:
        page=f"reports/{SUITE.name}/report.html",
        tables=multiext(f"reports/{SUITE.name}/tables/table5", ".csv", ".md", ".tex"),
    log:
        f"logs/report-{SUITE.name}.log",
    conda:
        "../../environment.yml"
    params:
        data_root=config["data_root"],
        code=source_hash("reporting"),
    shell:
        "reconpatch report {input.suite} --data-root {params.data_root:q} 2>&1 | tee {log}"
