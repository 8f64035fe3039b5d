# What was found, in tables and figures.

MEASUREMENTS = {
    "measurements": files.of_every_training(layout.measurement("{model}", "{seed}")),
    "histories": files.of_every_search(of_search.history),
    "found": files.found,
    "sample_scores": files.sample_scores,
    "sample_trained": files.sample_trained,
    "latencies": ancient(files.latencies(for_tables=True)),
}


rule tables:
    input:
        **MEASUREMENTS,
        timings=files.of_every_training(layout.training("{model}", "{seed}").timing),
        supernet=[layout.supernet.timing] if files.trains_supernet else [],
        candidates=files.of_every_search(of_search.timing),
        finalist_timings=files.finalist_timings,
        sample_timings=files.sample_timings,
    output:
        report(layout.tables.results, caption="report/results.rst", category="Results", labels={"what": "results"}),
        layout.tables.results_csv,
        layout.tables.results_tex,
        layout.tables.classes,
        report(layout.tables.timing, caption="report/timing.rst", category="Time", labels={"what": "time"}),
        layout.tables.timing_csv,
        layout.tables.balance,
        report(layout.tables.proxy, caption="report/proxy_table.rst", category="Proxy", labels={"what": "proxy"}),
        layout.tables.proxy_csv,
        layout.tables.candidates,
    log:
        layout.log("tables"),
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        **flags.network_source(),
        measurements=lambda wildcards: flags.measurements(),
        asked=lambda wildcards, output: flags.asked_of_rows(),
        controls=lambda wildcards, output: labelled("--chosen", *files.chosen),
        evaluations=lambda wildcards, input: labelled("--evaluations", files.trainings, input.measurements),
        scores=lambda wildcards, input: labelled("--scores", config["searches"], input.histories),
        timings=lambda wildcards, input: labelled("--timings", files.trainings, input.timings),
        supernet=lambda wildcards, input: optional_flag("--supernet-timing", input.supernet),
        found=lambda wildcards, input: labelled("--found", files.searched, input.found),
        sample=lambda wildcards, input: optional_flag("--sample-scores", input.sample_scores),
        trained=lambda wildcards, input: optional_flag("--sample-trained", input.sample_trained),
        candidates=lambda wildcards, input: labelled("--candidate-timings", config["searches"], input.candidates),
        finalist_timings=lambda wildcards, input: optional_flag("--finalist-timings", input.finalist_timings),
        sample_timings=lambda wildcards, input: optional_flag("--sample-timings", input.sample_timings),
        folder=subpath(output[0], parent=True),
    shell:
        "python -m pipeline tables {params.measurements} {params.asked} {params.controls} {params.evaluations} {params.scores}"
        " {params.found} {params.timings} {params.supernet} {params.sample} {params.trained}"
        " {params.candidates} {params.finalist_timings} {params.sample_timings} --output-folder {params.folder:q} > {log:q} 2>&1"


rule figures:
    input:
        **MEASUREMENTS,
        curves=files.of_every_training(layout.training("{model}", "{seed}").history),
        supernet=[layout.supernet.history] if files.trains_supernet else [],
    output:
        [
            report(
                layout.figure(name, FIGURE_FORMS[0]),
                caption=f"report/{name}.rst",
                category="Figures",
                labels={"what": name},
            )
            for name in FIGURES
        ],
        [layout.figure(name, form) for name in FIGURES for form in FIGURE_FORMS[1:]],
    log:
        layout.log("figures"),
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        **flags.network_source(),
        measurements=lambda wildcards: flags.measurements(),
        asked=lambda wildcards, output: flags.asked_of_rows(),
        controls=lambda wildcards, output: labelled("--chosen", *files.chosen),
        evaluations=lambda wildcards, input: labelled("--evaluations", files.trainings, input.measurements),
        scores=lambda wildcards, input: labelled("--scores", config["searches"], input.histories),
        curves=lambda wildcards, input: labelled("--histories", files.trainings, input.curves),
        supernet=lambda wildcards, input: optional_flag("--supernet-history", input.supernet),
        found=lambda wildcards, input: labelled("--found", files.searched, input.found),
        sample=lambda wildcards, input: optional_flag("--sample-scores", input.sample_scores),
        trained=lambda wildcards, input: optional_flag("--sample-trained", input.sample_trained),
        folder=subpath(output[0], parent=True),
    shell:
        "python -m pipeline figures {params.measurements} {params.asked} {params.controls} {params.evaluations} {params.scores}"
        " {params.found} {params.curves} {params.supernet} {params.sample} {params.trained}"
        " --output-folder {params.folder:q} > {log:q} 2>&1"


# The page that tells it all, of whatever the tables and figures were made from.
rule write_report:
    input:
        rules.tables.output,
        rules.figures.output,
        layout.tables.inference_csv if config["inference"]["measure"] else [],
    output:
        layout.report,
    log:
        layout.log("report"),
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        experiment=config["experiment"],
    shell:
        "python -m pipeline report {params.experiment} --output {output:q} > {log:q} 2>&1"
