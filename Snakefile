# Searching for accurate binary neural networks, from images to the final table.
#
#     snakemake --cores all                                         the default experiment
#     snakemake --cores all --configfile configs/cifar10.yaml       another one, laid over config.yaml
#     snakemake -n --quiet rules                                    the plan


from snakemake.utils import min_version

min_version("9.17")


configfile: f"{workflow.basedir}/config.yaml"


report: "rules/report/workflow.rst"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/supernet.smk"
include: "rules/search.smk"
include: "rules/proxy.smk"
include: "rules/retrain.smk"
include: "rules/tables.smk"
include: "rules/inference.smk"


# Snakemake deletes what a job is going to write, and asks for no file again that something up to date was made from. So
# a run with other settings that was interrupted, and taken back, would leave rows without trainings or evaluations. What
# is asked for here are small files beside them: weights may have been deleted for want of space, and prepared images too,
# unless the images have changed since.
rule all:
    default_target: True
    input:
        files.images,
        rules.tables.input.timings,
        rules.tables.input.measurements,
        rules.tables.input.histories,
        rules.tables.input.found,
        rules.tables.output,
        rules.figures.output,
        rules.write_report.output,
        rules.measure_inference.output if config["inference"]["measure"] else [],


onstart:
    note_run(workflow, config, layout)


onsuccess:
    print(f"Results: {layout.tables.results}")
