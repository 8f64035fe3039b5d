"""The outer layer: one module for each step of the workflow, which reads files, calls the inner layer, writes files.

A step module has a docstring (its help), ``add_arguments(parser)`` and ``run(arguments)``. What is slow to import
(torch, pandas, matplotlib) is imported inside ``run``, so that no step pays for what it does not use.
"""

#: What people call, in the order of the help.
COMMANDS = (
    *("init", "run", "status", "plan", "check", "predict", "export", "report", "archive", "cost"),
    *("bench", "measure-latency", "search"),
)
#: The command's name → the module's name in this package, in the order of the workflow.
STEPS = {
    "prepare-dataset": "prepare_dataset",
    "sample-subset": "sample_subset",
    "pretrain-supernet": "pretrain_supernet",
    "propose-generation": "propose_generation",
    "evaluate-generation": "evaluate_generation",
    "score-generation": "score_generation",
    "select-best": "select_best",
    "hold-out": "hold_out",
    "choose-finalists": "choose_finalists",
    "select-found": "select_found",
    "choose-control": "choose_control",
    "sample-genomes": "sample_genomes",
    "retrain": "retrain",
    "evaluate": "evaluate",
    "predict": "predict",
    "export": "export",
    "measure-inference": "measure_inference",
    "bench": "bench",
    "measure-latency": "measure_latency",
    "tables": "tables",
    "figures": "figures",
    "report": "report",
    "cost": "cost",
    "search": "search",
    "tabulate": "tabulate",
    "init": "init",
    "check": "check",
    "plan": "plan",
    "run": "run",
    "status": "status",
    "archive": "archive",
}
