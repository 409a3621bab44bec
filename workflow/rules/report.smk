TEMPLATES = PACKAGE / "reporting" / "page" / "templates"


rule figure:
    input:
        figure_inputs,
    output:
        svg=report(
            f"reports/{SUITE.name}/figures/{{figure}}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels=figure_labels,
        ),
        png=f"reports/{SUITE.name}/figures/{{figure}}.png",
    log:
        f"logs/{SUITE.name}-{{figure}}.log",
    benchmark:
        f"logs/benchmarks/{SUITE.name}-{{figure}}.tsv"
    # An embedding is the last to read its patch features.
    priority: 30
    conda:
        "../../environment.yml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * PROCESS_MB,
        runtime=lambda wildcards, attempt: attempt
        * (30 + len(runs_of(SUITE, wildcards.figure))),
        disk_mb=100,
    params:
        data_root=config["data_root"],
        caption=lambda wildcards: SUITE.experiments.figures[wildcards.figure].caption,
        runs=lambda wildcards: run_names(runs_of(SUITE, wildcards.figure)),
        code=code_fingerprint(*STEPS["figure"]),
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
        claims="config/claims.yaml",
        headline="config/headline.yaml",
        choices=[p for p in ("docs/ambiguities.md",) if Path(p).is_file()],
    output:
        page=report(
            f"reports/{SUITE.name}/report.html",
            caption="../report/page.rst",
            category="Report",
            labels={"page": "Report"},
        ),
        claims=f"reports/{SUITE.name}/claims.csv",
        headline=f"reports/{SUITE.name}/headline.txt",
        tables=[
            report(
                f"reports/{SUITE.name}/tables/{name}.csv",
                caption="../report/table.rst",
                category="Tables",
                subcategory=(table.topic or "tables").capitalize(),
                labels={"table": title(name), "shows": table.caption},
            )
            for name, table in SUITE.experiments.tables.items()
        ],
        pasted=[
            f"reports/{SUITE.name}/tables/{name}.{form}"
            for name in SUITE.experiments.tables
            for form in ("md", "tex")
        ],
    log:
        f"logs/{SUITE.name}-report.log",
    benchmark:
        f"logs/benchmarks/{SUITE.name}-report.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * PROCESS_MB,
        runtime=lambda wildcards, attempt: attempt * (30 + len(OWNERS) // 10),
        disk_mb=1000,
    params:
        data_root=config["data_root"],
        experiments=SUITE.experiments.key,
        code=code_fingerprint(*STEPS["report"]),
        templates=fingerprint(
            *(file.read_text() for file in sorted(TEMPLATES.iterdir()))
        ),
    shell:
        f"reconpatch report --suite {SUITE.name} --data-root {{params.data_root:q}} 2>&1 | tee {{log:q}}"
