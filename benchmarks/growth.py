"""How time grows with what can grow: nothing in the workflow should be worse than linear in what it is given.

    python -m benchmarks.growth
    python -m benchmarks.growth --quick

The table has the time at several sizes and the power with which it grew since the size before (1 is linear, 2
quadratic). One process, one thread, the best of some repetitions.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np
import torch

from benchmarks.timing import exponent, table
from pipeline.common.files import write_csv
from pipeline.data.batches import ImagesInMemory, Normalisation
from pipeline.data.loading import load_images
from pipeline.data.prepared import ImagesInfo, write_images
from pipeline.data.splits import draw
from pipeline.networks.genome import RATIOS, format_genome
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.search.algorithms import ALGORITHMS, propose
from pipeline.search.archive import Archive, Evaluation, Timing
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from pipeline.search.space import SearchSpace
from pipeline.search.tables import SCORES, read_individuals
from pipeline.training.execution import describe_machine, resolve
from pipeline.training.loop import Training
from pipeline.training.settings import ExecutionSettings, TrainingSettings

GENES = 12  # ResNet-18's: more genomes than any search will see


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small sizes")
    arguments = parser.parse_args()
    resolve(ExecutionSettings("cpu", "float32", 1)).apply()
    tried: list[tuple[str, Sequence[float], Callable[[int], Callable[[], object]]]] = [
        ("candidates in a generation (proposing it)", [100, 1000, 10_000], _propose_population),
        ("generations of 32 before (reading their files and proposing)", [10, 100, 1000], _propose_after),
        ("evaluated candidates (proposing the next 32)", [1000, 10_000, 100_000], _propose_from),
        ("archived candidates (finding 32 of them)", [100, 1000, 10_000], _look_up),
        ("images (drawing subset and validation)", [1000, 10_000, 100_000], _draw_split),
        ("images (writing and loading 32×32)", [1000, 10_000, 100_000], _store_images),
        ("images in memory (an epoch's order and batches)", [1000, 10_000, 100_000], _batches),
        ("network's MACs (a training step)", [0.0625, 0.125, 0.25], _step),
    ]
    print(f"{describe_machine()}, one thread, best of {arguments.repetitions}\n")
    rows = []
    for title, sizes, prepare in tried:
        if arguments.quick:
            sizes = sizes[:2]
        rows += _grow(title, sizes, prepare, arguments.repetitions)
    print(table(["what grows", "size", "seconds", "power"], rows))


def _grow(
    title: str, sizes: Sequence[float], prepare: Callable[..., Callable[[], object]], repetitions: int
) -> list[list[object]]:
    shown, seconds = [], []
    for size in sizes:
        work = prepare(size)
        seconds.append(min(_time(work) for _ in range(repetitions)))
        # A network's size is what it computes.
        shown.append(sum(layer.macs for layer in _vgg(size).layers) if isinstance(size, float) else size)
    powers = ["", *(f"{power:.2f}" for power in exponent(shown, seconds))]
    return [
        [title if i == 0 else "", f"{size:,}", f"{s:.4f}", power]
        for i, (size, s, power) in enumerate(zip(shown, seconds, powers, strict=True))
    ]


def _time(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _individuals(count: int) -> list[Individual]:
    random = Random(0)
    genomes: dict[tuple[float, ...], None] = {}
    while len(genomes) < count:
        genomes[tuple(random.choice(RATIOS) for _ in range(GENES))] = None
    return [Individual(genome, random.uniform(10, 90), random.uniform(0.1, 10)) for genome in genomes]


def _propose(history: Sequence[Sequence[Individual]], population: int) -> Callable[[], object]:
    space, settings = SearchSpace(GENES), ALGORITHMS["evolution"].Settings(population=population)
    return lambda: propose("evolution", space, settings, history, 0, len(history), configured({"lambda": 4}))


def _propose_population(count: int) -> Callable[[], object]:
    return _propose([_individuals(32)], count)


def _propose_from(count: int) -> Callable[[], object]:
    everyone = _individuals(count)
    return _propose([everyone[i : i + 32] for i in range(0, count, 32)], 32)


def _propose_after(generations: int) -> Callable[[], object]:
    folder = tempfile.TemporaryDirectory()
    everyone, paths = _individuals(32 * generations), []
    for generation in range(generations):
        paths.append(Path(folder.name) / f"{generation}.csv")
        rows = []
        for slot, one in enumerate(everyone[32 * generation : 32 * (generation + 1)]):
            values = (slot, format_genome(one.genome), "random", "ok", one.top1, one.relative_cost, 0.0, "", None)
            rows.append(dict(zip(SCORES, values, strict=True)))
        write_csv(paths[-1], SCORES, rows)

    def work() -> object:
        assert folder is not None  # lives as long as this function
        return _propose([read_individuals(path) for path in paths], 32)()

    return work


def _look_up(count: int) -> Callable[[], object]:
    folder = tempfile.TemporaryDirectory()
    archive = Archive(Path(folder.name), {"seed": 0})
    everyone = _individuals(count)
    for one in everyone:
        archive.put(Evaluation(one.genome, "ok", 50.0, 1.0), Timing(1.0, "machine"))

    def work() -> object:
        assert folder is not None
        return [archive.get(one.genome) for one in everyone[:32]]

    return work


def _draw_split(count: int) -> Callable[[], object]:
    labels, classes = np.arange(count) % 10, tuple("0123456789")
    return lambda: draw(labels, classes, count // 40, count // 40)


def _store_images(count: int) -> Callable[[], object]:
    folder = tempfile.TemporaryDirectory()
    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)
    labels = np.arange(count, dtype=np.int64) % 10
    info = ImagesInfo("random", "pixels", tuple("0123456789"), 3, 32, count, (0.5,) * 3, (0.3,) * 3)

    def work() -> object:
        path = Path(folder.name) / "images.h5"
        write_images(path, info, 0, [{"pixels": pixels, "labels": labels}])
        return load_images(path, "cpu", range(0, count, 2))

    return work


def _batches(count: int) -> Callable[[], object]:
    pixels = torch.randint(256, (count, 32, 32, 3)).to(torch.uint8)
    source = ImagesInMemory(
        pixels, torch.arange(count) % 10, Normalisation((0.5,) * 3, (0.3,) * 3), torch.device("cpu")
    )

    def work() -> object:
        plan = torch.randperm(count).split(50)
        return sum(len(y) for _, y in source.batches(plan, "crop-flip", ("growth",)))

    return work


def _vgg(base_width: float) -> NetworkSpec:
    return NetworkSpec("vgg_small", uniform_genome("vgg_small", 1), base_width=base_width)


def _step(base_width: float) -> Callable[[], object]:
    network = Network(_vgg(base_width))
    initialise(network, torch.Generator().manual_seed(0))
    source = ImagesInMemory(
        torch.randint(256, (64, 32, 32, 3)).to(torch.uint8),
        torch.arange(64) % 10,
        Normalisation((0.5,) * 3, (0.3,) * 3),
        torch.device("cpu"),
    )
    recipe = TrainingSettings(10**6, 64, 0.01, "constant")
    steps = Training(network, source, recipe, 0, resolve(ExecutionSettings("cpu", "float32", 1))).steps()
    next(steps)
    return lambda: [next(steps) for _ in range(5)]


if __name__ == "__main__":
    main()
