"""Checks of the recipes of all trainings, and of how candidates are stopped early."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.common.errors import UserError
from pipeline.workflow.proxy import trains_supernet
from pipeline.workflow.recipes import recipe_of

TRAININGS = ("supernet", "candidate", "retrain")


def recipes(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields every training's recipe and where it stands."""
    for section in TRAININGS:
        yield section, config[section]
    for model, row in config["models"].items():
        if "retrain" in row:
            yield f"models.{model}.retrain", recipe_of(config, model)


def check_trainings(config: Mapping[str, Any]) -> None:
    """Checks that every schedule, and what happens at an epoch, fits into its training."""
    for section, training in recipes(config):
        milestones = training["milestones"]
        if training.get("schedule") == "milestones" and not milestones:
            raise UserError(f"{section}.schedule is 'milestones', but {section}.milestones is empty", "list the epochs")
        if milestones != sorted(set(milestones)):
            raise UserError(f"{section}.milestones is {milestones}", "list each epoch once, in ascending order")
        late = [milestone for milestone in milestones if milestone >= training["epochs"]]
        if late:
            raise UserError(
                f"{section}.milestones has {late[0]}, but the training has only {training['epochs']} epochs",
                "milestones must come before the last epoch",
            )
        real, all_epochs = training["real_weight_epochs"], training["epochs"]
        if real >= all_epochs:
            raise UserError(
                f"{section}.real_weight_epochs is {real}, but the training has only {all_epochs} epochs",
                "leave some epochs in which weights are binary",
            )
    early, epochs = config["search"]["early_stop_epochs"], config["candidate"]["epochs"]
    if early is not None and early >= epochs:
        raise UserError(
            f"search.early_stop_epochs is {early}, but a candidate's training has only {epochs} epochs",
            f"give fewer than {epochs}, or null to train all to their end",
        )
    real = config["candidate"]["real_weight_epochs"]
    if early and early <= real:
        raise UserError(
            f"search.early_stop_epochs is {early}, when candidates' weights are still real "
            f"(candidate.real_weight_epochs is {real})",
            f"give more than {real}, or null to train all to their end",
        )
    if early == 0 and not config["supernet"]["enabled"]:
        raise UserError(
            "search.early_stop_epochs is 0, but candidates inherit no weights by which they could be judged untrained",
            "give at least 1, or set supernet.enabled",
        )


def check_processes(config: Mapping[str, Any]) -> None:
    """Checks that every process of a training can take an equal part of each batch."""
    processes = config["execution"]["processes"]
    for section, training in recipes(config):
        if section == "candidate" or (section == "supernet" and not trains_supernet(config)):
            continue
        batch = training["batch_size"]
        if batch % processes:
            raise UserError(
                f"{section}.batch_size is {batch}, which cannot be divided among {processes} processes",
                f"choose a multiple of {processes}, or another execution.processes",
            )
