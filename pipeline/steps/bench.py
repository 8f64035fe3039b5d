"""Measures on this machine how long an experiment's networks take to answer, and prints it beside what is counted."""

import argparse

from pipeline.steps.options import add_setting
from pipeline.workflow.settings import InferenceSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("experiment", help="an experiment's name or results folder")
    add_setting(parser, InferenceSettings, "threads")


def run(arguments: argparse.Namespace) -> None:
    """Prints the table of the rows that are trained; nothing is written."""
    from pipeline.common.errors import UserError
    from pipeline.common.terminal import draw_markdown
    from pipeline.report.inference import inference_markdown
    from pipeline.steps.measure_inference import ROUNDS, measure_rows, pack_row
    from pipeline.training.execution import describe_machine
    from pipeline.workflow.layout import trained_seeds
    from pipeline.workflow.rows import check_trained, rows_asked_for
    from pipeline.workflow.status.experiment import find_experiment

    layout = find_experiment(arguments.experiment)
    rows = rows_asked_for(layout)
    if not rows:
        raise UserError(f"{layout.folder} has no trained network", "name an experiment that has some")
    networks = {}
    for row in rows:
        seeds = trained_seeds(layout.retrainings / row)
        networks[row] = seeds[min(seeds)]
        check_trained(layout.retrainings / row, min(seeds), networks[row])
    packed = {row: pack_row(weights) for row, weights in networks.items()}
    measured, missing = measure_rows(networks, packed, arguments.threads)
    text = inference_markdown(measured, arguments.threads, describe_machine(), ROUNDS, missing)
    print(draw_markdown(text, spare=("least", "most")))
