# What was found, in tables and figures.


def measurement_flags():
    """The rows and searches of the tables, in the configuration's order."""
    rows = (f"{model}={row['search']}" if "search" in row else model for model, row in config["models"].items())
    searches = (f"{name}={s['algorithm']}:{s['lambda']:g}" for name, s in config["searches"].items())
    published = config.get("published")
    words = ["--models", *rows, "--searches", *searches]
    return shlex.join(words + (["--published", published] if published else []))


def of_every_training(pattern):
    """A file of each row and seed."""
    return expand(pattern, model=config["models"], seed=SEEDS)


def optional_flag(flag, files):
    """A flag with its files, left out where there are none."""
    return f"{flag} {shlex.join(files)}" if files else ""


MEASUREMENTS = {
    "evaluations": expand(rules.evaluate.output, model=config["models"]),
    "histories": expand(rules.select_best.output.history, search=config["searches"]),
    "best": expand(rules.select_best.output.best, search=config["searches"]),
}


rule tables:
    input:
        **MEASUREMENTS,
        timings=of_every_training(rules.retrain.output.timing),
        supernet=[rules.pretrain_supernet.output.timing] if config["supernet"]["enabled"] else [],
        candidates=expand(rules.select_best.output.timing, search=config["searches"]),
    output:
        report(
            f"{RESULTS}/tables/results.md",
            caption="report/results.rst",
            category="Results",
            labels={"what": "results"},
        ),
        f"{RESULTS}/tables/results.csv",
        f"{RESULTS}/tables/results.tex",
        report(f"{RESULTS}/tables/timing.md", caption="report/timing.rst", category="Time", labels={"what": "time"}),
        f"{RESULTS}/tables/timing.csv",
        report(f"{RESULTS}/tables/proxy.md", caption="report/proxy_table.rst", category="Proxy", labels={"what": "proxy"}),
        f"{RESULTS}/tables/proxy.csv",
    log:
        f"{RESULTS}/logs/tables.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        measurements=measurement_flags(),
        supernet=lambda wildcards, input: optional_flag("--supernet-timing", input.supernet),
        folder=f"{RESULTS}/tables",
    localrule: True
    message:
        "making the tables"
    shell:
        "python -m pipeline tables {params.measurements} --evaluations {input.evaluations:q} --scores {input.histories:q}"
        " --best {input.best:q} --timings {input.timings:q} {params.supernet}"
        " --candidate-timings {input.candidates:q} --output-folder {params.folder:q} > {log:q} 2>&1"


rule figures:
    input:
        **MEASUREMENTS,
        curves=of_every_training(rules.retrain.output.history),
        supernet=[rules.pretrain_supernet.output.history] if config["supernet"]["enabled"] else [],
    output:
        [
            report(
                f"{RESULTS}/figures/{name}.png",
                caption=f"report/{name}.rst",
                category="Figures",
                labels={"what": name},
            )
            for name in FIGURES
        ],
        expand(f"{RESULTS}/figures/{{name}}.svg", name=FIGURES),
    log:
        f"{RESULTS}/logs/figures.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        measurements=measurement_flags(),
        supernet=lambda wildcards, input: optional_flag("--supernet-history", input.supernet),
        folder=f"{RESULTS}/figures",
    localrule: True
    message:
        "drawing the figures"
    shell:
        "python -m pipeline figures {params.measurements} --evaluations {input.evaluations:q} --scores {input.histories:q}"
        " --best {input.best:q} --histories {input.curves:q} {params.supernet}"
        " --output-folder {params.folder:q} > {log:q} 2>&1"
