"""Events of a run, as Snakemake tells them."""

#: Two of five steps are done.
START = [
    {"event": "run_info", "stats": {"retrain": 4, "total": 5}},
    {
        "event": "job_info",
        "jobid": 4,
        "rule_name": "retrain",
        "wildcards": {"model": "uniform-1x", "seed": "0"},
        "log": ["results/f/logs/retrain/uniform-1x_0.log"],
    },
    {"event": "job_finished", "job_id": 4},
    {"event": "progress", "done": 2, "total": 5},
]
