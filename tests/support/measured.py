"""What a workflow would have measured, made up and small."""

import io
from dataclasses import asdict

import numpy as np
from PIL import Image

from pipeline.common.files import write_csv, write_json
from pipeline.networks.cost import relative_flops
from pipeline.networks.genome import format_genome
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.answers import Mistake, most_confident, pack_answers, pack_classes
from pipeline.search.objectives.fitness import fitness
from pipeline.search.tables import SCORES, TIMINGS, Best, write_best
from pipeline.workflow.layout import Layout

SPEC = NetworkSpec("vgg_small", uniform_genome("vgg_small", 1), base_width=0.0625, channels=1, size=8)


FOUND, RANDOM = (0.5, 2.0, 1.0, 1.0, 1.0, 0.5), (1.0, 0.25, 4.0, 1.0, 2.0, 0.5)


#: Row → genome, binary, top-1 of its seeds.
ROWS = {
    "full-precision": (SPEC.genome, False, (97.0, 97.2)),
    "uniform-1x": (SPEC.genome, True, (90.0, 90.2)),
    "uniform_2x": (uniform_genome("vgg_small", 2), True, (93.0, 93.2)),
    "found-A": (FOUND, True, (91.9, 92.1)),
    "random-A": (RANDOM, True, (91.0, 92.4)),
}


SEARCHES = {"A": ("evolution", FOUND), "random-A": ("random", RANDOM)}


def write_experiment(folder, rows=ROWS, searches=SEARCHES, spec=SPEC, seconds=10.0, answered=False):
    """Writes what the workflow would have measured, and returns the flags that name it, by step."""
    for model, (genome, binary, accuracies) in rows.items():
        network = asdict(
            NetworkSpec(
                spec.network, genome, base_width=spec.base_width, channels=spec.channels, size=spec.size, binary=binary
            )
        )
        for seed, top1 in enumerate(accuracies):
            record = {"top1": top1, "top5": 99.5, "loss": 0.2, "images": 450, "network": network}
            if answered:
                record |= answers(top1, seed)
            write_json(folder / f"evaluation/{model}/seed_{seed}.json", record)
            training = folder / f"retrain/{model}/seed_{seed}"
            curve = [{"epoch": e, "learning_rate": 0.1, "loss": 1 / e, "top1": top1 - 20 / e} for e in (1, 2, 3)]
            write_csv(training / "history.csv", tuple(curve[0]), curve)
            write_json(training / "timing.json", timing(seconds))
    for search, (_, best) in searches.items():
        scores, times = [], []
        for generation in range(2):
            genomes = [best, (*best[:5], 3.0 + generation)]
            individuals = [
                (genome, 85.0 + generation - i, spec.with_genome(genome)) for i, genome in enumerate(genomes)
            ]
            number = {"generation": generation}
            origin = "mutation" if generation and not search.startswith("random") else "random"
            scores += [{**number, **score_line(i, *one, origin)} for i, one in enumerate(individuals)]
            times += [{**number, **time_line(i, one[0], seconds)} for i, one in enumerate(individuals)]
        write_csv(folder / f"search/{search}/history.csv", ("generation", *SCORES), scores)
        write_csv(folder / f"search/{search}/timing.csv", ("generation", *TIMINGS), times)
        found = Best(search, best, 86.0, 0.7, 83.2, 1, 0, 4)
        write_best(Layout(folder).finalists(row_of(search)).found, found)
    for kind, start in (("scores", 60.0), ("trained", 80.0)):
        for repetition in range(2):
            genomes = [(float(ratio), *RANDOM[1:]) for ratio in (0.25, 0.5, 1, 2, 3, 4)]
            lines = [sample_line(i, genome, start + 3 * i + repetition) for i, genome in enumerate(genomes)]
            write_csv(getattr(Layout(folder).sample, kind)(repetition), tuple(lines[0]), lines)
    write_json(folder / "supernet/timing.json", timing(seconds))
    write_csv(folder / "supernet/history.csv", ("epoch", "top1"), [{"epoch": 1, "top1": 50}, {"epoch": 2, "top1": 60}])
    return flags(folder, rows, searches)


def answers(top1, seed, images=450):
    """What an evaluation says of its answers: images of ten classes in turn, the last of them wrong."""
    labels = np.arange(images) % 10
    right = np.arange(images) < round(images * top1 / 100)
    given = np.where(right, labels, (labels + 1 + seed) % 10)
    confidences = np.linspace(1, 0.5, images)
    picture = io.BytesIO()
    Image.new("L", (8, 8), 100).save(picture, "PNG")
    mistakes = [
        Mistake(int(image), int(labels[image]), int(given[image]), float(confidences[image]), picture.getvalue())
        for image in most_confident(given, labels, confidences)
    ]
    record = pack_answers(given, right) | pack_classes(
        [f"class <{n}>" for n in range(10)], labels, confidences, mistakes
    )
    return {**record, "top1": round(100 * float(right.mean()), 4)}


def timing(seconds):
    return {"seconds": seconds, "device": "cpu", "threads": 1, "machine": "EPYC", "command": "", "versions": {}}


def score_line(slot, genome, top1, spec, origin):
    relative = relative_flops(spec)
    line = {"slot": slot, "genome": format_genome(genome), "origin": origin, "status": "ok", "top1": top1}
    return {**line, "relative_flops": relative, "fitness": fitness(top1, relative, 4), "reason": ""}


def time_line(slot, genome, seconds):
    line = {"slot": slot, "genome": format_genome(genome), "seconds": seconds, "reused": slot, "shard": slot}
    return {**line, "machine": "EPYC"}


def row_of(search):
    """The row of what a search found."""
    return search if search.startswith("random") else f"found-{search}"


def sample_line(slot, genome, top1):
    line = {"slot": slot, "genome": format_genome(genome), "status": "ok", "top1": top1, "loss": 1.0, "reason": ""}
    return {**line, "micro_batch": ""}


def flags(folder, rows=ROWS, searches=SEARCHES):
    layout = Layout(folder)
    found = {row_of(search): (search, algorithm) for search, (algorithm, _) in searches.items()}
    models = [f"{model}={found[model][1]}:4" if model in found else model for model in rows]
    seeds = [(model, seed) for model, (*_, accuracies) in rows.items() for seed in range(len(accuracies))]

    def of_trainings(path):
        return [f"{model}:{seed}={path(model, seed)}" for model, seed in seeds]

    def of_searches(name):
        return [f"{search}={getattr(layout.search(search), name)}" for search in searches]

    shared = ["--models", *models, "--evaluations", *of_trainings(layout.measurement)]
    shared += ["--searches", *(f"{name}={algorithm}:4" for name, (algorithm, _) in searches.items())]
    shared += ["--scores", *of_searches("history")]
    shared += ["--found", *(f"{model}={layout.finalists(model).found}" for model in found)]
    if searches:
        shared += ["--sample-scores", *(str(layout.sample.scores(number)) for number in range(2))]
        shared += ["--sample-trained", *(str(layout.sample.trained(number)) for number in range(2))]
    times = ["--timings", *of_trainings(lambda model, seed: layout.training(model, seed).timing)]
    times += ["--supernet-timing", str(layout.supernet.timing), "--candidate-timings", *of_searches("timing")]
    curves = ["--histories", *of_trainings(lambda model, seed: layout.training(model, seed).history)]
    curves += ["--supernet-history", str(layout.supernet.history)]
    return {"tables": shared + times, "figures": shared + curves}
