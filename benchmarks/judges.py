"""Judges that need no training: do the gradients of a fresh network know more of its accuracy than its cost does?

    python -m benchmarks.judges                  # digits-4096, three seeds, and 200 searches for each way to begin
    python -m benchmarks.judges --quick

For every genome of a table the network is built as the search builds it, with weights drawn anew and with weights
inherited from a supernet that is trained here, and judged on one batch of train images:

- *gradient norm*: the sum over layers of the Euclidean norm of the loss's gradient by the weights (Abdelfattah et al.,
  "Zero-Cost Proxies for Lightweight NAS", ICLR 2021);
- *SNIP*: the sum over weights of |w · ∂loss/∂w| (Lee et al., ICLR 2019). For binary layers w is the real weight behind
  the bit, and the gradient is the straight-through one that it is trained by;
- *SynFlow*: log R, where R is the sum of the logits of an image of ones in the network without batch norms and
  binarised activations, each weight in its absolute value (Tanaka et al., NeurIPS 2020). In a binary layer that is the
  value it computes with, its scale. Their score, the sum over weights of w · ∂R/∂w, is R times the number of layers,
  since R is linear in the weights of each;
- *NASWOT*: log det K, where K counts for two images the activations in which they agree (Mellor et al., ICML 2021).
  Activations are the bits that the binary convolutions read.

Beside them stands what is free: costs, and the channels. The first tables have Kendall's tau-b with the accuracy of
the full trainings, over the trained genomes, and with the scores of all, and what is left of both given FLOPs.
Intervals are 95 %, by bootstrap over genomes, for the first seed; the range of tau over seeds stands beside, for the
trained genomes. Searches take the first seed's.

Then searches whose first generation is chosen by a judge among ``--choice`` times as many genomes drawn uniformly: the
best of all of them, or the best of each of equally many parts, sorted by cost, so that the first generation is as cheap
as a plain one. Regret is how far the true worth of what the search would choose lies below the best there is
(:mod:`pipeline.search.tabular`), and differences are paired by seed.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from scipy.stats import kendalltau
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.search import made_up, paired
from benchmarks.timing import execution_on
from benchmarks.timing import table as drawn
from pipeline.__main__ import main as step
from pipeline.common.hdf5 import read_tensors
from pipeline.common.log import progress
from pipeline.common.randomness import random_for, seed_for
from pipeline.common.settings import flags
from pipeline.data.batches import ImageSource
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info
from pipeline.data.splits import read_split
from pipeline.networks.binary.binarisers import BINARISERS
from pipeline.networks.cost import network_cost
from pipeline.networks.genome import Genome, format_genome
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from pipeline.report.proxy import tau_intervals
from pipeline.report.statistics import Interval95
from pipeline.search.algorithms import ALGORITHMS, propose
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective, configured
from pipeline.search.tabular import Table, find_table, read_table
from pipeline.search.tabular.run import best_worth, course
from pipeline.training.settings import TrainingSettings
from pipeline.workflow.config import read_config
from pipeline.workflow.schema import ROOT

JUDGES = ("gradient norm", "SNIP", "SynFlow", "NASWOT")
#: Judges that begin searches; those of fresh networks, since a supernet would have to be trained first.
FIRST = ("gradient norm", "SNIP", "SynFlow", "NASWOT", "logarithm of all channels' product")
WEIGHTS = ("drawn", "inherited")
BATCH = 64
#: Shares of the evaluations after which regrets are compared.
SHARES = (0.1, 0.25, 0.5, 1.0)
_TRAINED = 200

#: Values of a judge for each seed, (seeds, genomes). From the second seed on the trained genomes alone have one.
Values = dict[str, np.ndarray]


def judge(network: Network, x: Tensor, y: Tensor, seconds: dict[str, float]) -> dict[str, float]:
    """Returns what each judge says of a network in training mode, and adds the CPU seconds that it took.

    Args:
        network: a binary one. Its gradients are left behind.
        x: images (N, C, H, W), normalised.
        y: their classes (N,).
        seconds: by judge.
    """
    started = time.process_time()
    logits, bits = _forward(network, x)
    forward = time.process_time()
    F.cross_entropy(logits, y).backward()
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    gradients = [(weight, weight.grad) for weight in weights if weight.grad is not None]
    said = {
        "gradient norm": sum(float(gradient.norm()) for _, gradient in gradients),
        "SNIP": sum(float((weight.detach() * gradient).abs().sum()) for weight, gradient in gradients),
    }
    backward = time.process_time()
    said["NASWOT"] = naswot(bits)
    counted = time.process_time()
    said["SynFlow"] = synflow(network)
    for name in ("gradient norm", "SNIP"):
        seconds[name] += backward - started
    seconds["NASWOT"] += forward - started + counted - backward
    seconds["SynFlow"] += time.process_time() - counted
    return said


def _forward(network: Network, x: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the logits, and the bits that binary convolutions read, (N, bits)."""
    values, read = {"input": x}, []
    for layer in network.spec.layers:
        arguments = [values[source] for source in layer.sources]
        if layer.kind == "convolution" and layer.binary:
            read.append(
                BINARISERS[network.spec.binariser].binarise_activation(arguments[0].detach(), x.dtype).flatten(1)
            )
        values[layer.name] = network.get_submodule(layer.name)(*arguments)
    return values[network.spec.layers[-1].name], torch.cat(read, 1)


def naswot(bits: Tensor) -> float:
    """Returns log det K of bits (N, bits), −inf where two images have the same.

    >>> round(naswot(torch.tensor([[1.0, 0.0], [1.0, 1.0]])), 6) == round(float(np.log(2 * 2 - 1 * 1)), 6)
    True
    """
    codes = bits.double()
    agree = codes @ codes.T + (1 - codes) @ (1 - codes).T
    return float(torch.linalg.slogdet(agree).logabsdet)


@torch.no_grad()
def synflow(network: Network) -> float:
    """Returns log R of a network: see above."""
    spec = network.spec
    values = {"input": torch.ones(1, spec.channels, spec.size, spec.size, dtype=torch.float64)}
    for layer in spec.layers:
        arguments = [values[source] for source in layer.sources]
        module = network.get_submodule(layer.name)
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight.double()
            if layer.binary:
                weight = BINARISERS[spec.binariser].binarise_weight(weight, weight.dtype)
            if isinstance(module, nn.Linear):
                out = F.linear(arguments[0].flatten(1), weight.abs())
            else:
                out = F.conv2d(arguments[0], weight.abs(), None, module.stride, module.padding)
        elif layer.kind in ("batch_norm", "relu"):
            out = arguments[0]
        else:
            out = module(*arguments)
        values[layer.name] = out
    return float(values[spec.layers[-1].name].sum().log())


def judged(
    spec: NetworkSpec, genomes: Sequence[Genome], images: ImageSource, supernet: Path, weights: str, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Returns what each judge says of each genome, (genomes,), and CPU seconds for one.

    Args:
        spec: of the networks, whose genome is replaced.
        genomes: of the networks.
        images: of which one batch is drawn, by the seed.
        supernet: file to inherit from.
        weights: 'drawn' or 'inherited'.
        seed: of the batch and the weights.
    """
    inherited = {name: torch.from_numpy(array) for name, array in read_tensors(supernet).items()}
    batch = torch.tensor(sorted(random_for("judges", seed).sample(range(len(images)), min(BATCH, len(images)))))
    ((x, y),) = images.batches([batch])
    said: dict[str, list[float]] = {name: [] for name in JUDGES}
    seconds: dict[str, float] = defaultdict(float)
    with progress(f"weights {weights}, seed {seed}", len(genomes), "genomes") as bar:
        for genome in genomes:
            started = time.process_time()
            network = Network(spec.with_genome(genome))
            if weights == "drawn":
                initialise(network, torch.Generator().manual_seed(seed_for("judges", seed, format_genome(genome))))
            else:
                _inherit(network, inherited)
            built = time.process_time() - started
            for name, value in judge(network.train(), x, y, seconds).items():
                said[name].append(value)
                seconds[name] += built
            bar.advance()
    return {name: np.array(values) for name, values in said.items()}, {
        name: spent / len(genomes) for name, spent in seconds.items()
    }


def _inherit(network: Network, supernet: Mapping[str, Tensor]) -> None:
    """Does what :func:`pipeline.networks.weights.inherit` does, from tensors that have been read already."""
    state = network.state_dict()
    parts = {name: supernet[name][tuple(map(slice, tensor.shape))] for name, tensor in state.items()}
    network.load_state_dict(parts)


def free(table: Table) -> dict[str, np.ndarray]:
    """Returns what needs no network, (genomes,)."""
    costs = [network_cost(table.spec.with_genome(genome)) for genome in table.genomes]
    parameters = [sum(layer.weights for layer in table.spec.with_genome(genome).layers) for genome in table.genomes]
    return {
        "FLOPs": np.array([cost.flops for cost in costs]),
        "binary multiply-accumulates": np.array([float(cost.binary_macs) for cost in costs]),
        "parameters": np.array(parameters, float),
        "bits of weights": np.array([float(cost.bits) for cost in costs]),
        "logarithm of all channels' product": np.log(table.genomes).sum(axis=1),
    }


def tau_of_many(
    values: np.ndarray, scores: np.ndarray, flops: np.ndarray, resamples: int = 200
) -> tuple[Interval95, Interval95]:
    """Returns tau-b with the scores, and the partial one given FLOPs, with bootstrap intervals."""

    def both(places: np.ndarray) -> tuple[float, float]:
        of = [array[places] for array in (values, scores, flops)]
        direct, one, other = (float(kendalltau(of[a], of[b]).statistic) for a, b in ((0, 1), (0, 2), (1, 2)))
        left = (1 - one**2) * (1 - other**2)
        return direct, (direct - one * other) / left**0.5 if left > 1e-12 else 0.0

    draw = np.random.default_rng(0)
    resampled = np.array([both(draw.integers(0, len(values), len(values))) for _ in range(resamples)])
    low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
    return tuple(Interval95(*each) for each in zip(both(np.arange(len(values))), low, high, strict=True))  # type: ignore[return-value]


def trained_places(table: Table) -> np.ndarray:
    """Returns where the table has genomes that were trained in full, at most as many as can be resampled."""
    trained = np.flatnonzero((~np.isnan(table.trained)).any(axis=1))
    return trained[:: -(-len(trained) // _TRAINED)]


def ranking(table: Table, judges: Values, seconds: Mapping[str, float], resamples: int) -> str:
    """Returns the table of what ranks genomes."""
    trained = trained_places(table)
    scored = np.flatnonzero(~np.isnan(table.scores[:, 0]))
    accuracy, scores = np.nanmean(table.trained[trained], axis=1).tolist(), table.scores[scored, 0]
    costs = free(table)
    flops = costs["FLOPs"]
    rows = []
    whole = {name: values[None] for name, values in costs.items()} | judges
    for name, values in whole.items():
        few, few_given = tau_intervals(values[0, trained].tolist(), accuracy, flops[trained].tolist())
        many, many_given = tau_of_many(values[0, scored], scores, flops[scored], resamples)
        over = [float(kendalltau(of_seed[trained], accuracy).statistic) for of_seed in values]
        rows.append(
            [
                name,
                str(few),
                f"{min(over):.2f} to {max(over):.2f}" if len(over) > 1 else "",
                "" if name == "FLOPs" else str(few_given),
                str(many),
                "" if name == "FLOPs" else str(many_given),
                f"{1000 * seconds[name]:.0f}" if name in seconds else "",
            ]
        )
    heading = ["judge", f"tau with {len(trained)} trained accuracies", "over seeds", "partial tau given FLOPs"]
    heading += [f"tau with {len(scored):,} scores", "partial tau given FLOPs", "CPU ms a genome"]
    return drawn(heading, rows)


def first_generation(
    table: Table, algorithm: str, population: int, choice: int, seed: int, values: np.ndarray | None, by_cost: bool
) -> list[Individual]:
    """Returns a search's first generation.

    Args:
        table: of the space.
        algorithm: whose plain first generation is the first part of what is drawn.
        population: genomes of a generation.
        choice: how many times as many are drawn.
        seed: of the search.
        values: of the judge, (genomes,); None for the plain first generation.
        by_cost: take the best of each of equally many parts by cost, not the best of all.
    """
    count = population if values is None else population * choice
    settings = ALGORITHMS[algorithm].Settings(population=count)
    drawn_genomes = [child.genome for child in propose(algorithm, table.space, settings, [], seed, 0)]
    if values is None:
        return [table.individual(genome) for genome in drawn_genomes]
    worth = dict(zip(table.genomes, values.tolist(), strict=True))
    candidates = [table.individual(genome) for genome in drawn_genomes]
    if not by_cost:
        return sorted(candidates, key=lambda one: -worth[one.genome])[:population]
    candidates.sort(key=lambda one: one.relative_cost)
    parts = np.array_split(np.arange(len(candidates)), population)
    return [max((candidates[place] for place in part), key=lambda one: worth[one.genome]) for part in parts]


def regrets(
    table: Table,
    algorithm: str,
    objective: Objective,
    seeds: int,
    budget: tuple[int, int],
    choice: int,
    values: np.ndarray | None,
    by_cost: bool,
) -> np.ndarray:
    """Returns the regret after each share of the evaluations, (seeds, shares). Arguments as above."""
    generations, population = budget
    settings = ALGORITHMS[algorithm].Settings(population=population)
    best = best_worth(table, objective)
    places = [max(1, round(share * generations * population)) - 1 for share in SHARES]
    found = []
    for seed in range(seeds):
        history = [first_generation(table, algorithm, population, choice, seed, values, by_cost)]
        for generation in range(1, generations):
            children = propose(algorithm, table.space, settings, history, seed, generation, objective)
            history.append([table.individual(child.genome) for child in children])
        found.append(best - course(table, history, objective)[places])
    return np.array(found)


def warm_starts(
    table: Table, judges: Values, penalty: float, algorithm: str, seeds: int, budget: tuple[int, int], choice: int
) -> str:
    """Returns the table of one algorithm and λ: the plain start's regret, and how far others lie above it."""
    objective = configured({"lambda": penalty})
    plain = regrets(table, algorithm, objective, seeds, budget, choice, None, False)
    rows: list[list[object]] = [["plain", "", *(f"{mean:.2f}" for mean in plain.mean(axis=0))]]
    ways = [(name, by_cost) for name in judges for by_cost in (False, True)]
    with progress(f"λ = {penalty:g}, {algorithm}", len(ways), "ways to begin") as bar:
        for name, by_cost in ways:
            found = regrets(table, algorithm, objective, seeds, budget, choice, judges[name][0], by_cost)
            differences = [paired(found[:, i].tolist(), plain[:, i].tolist()) for i in range(len(SHARES))]
            rows.append([name, "of each cost" if by_cost else "of all", *differences])
            bar.advance()
    return drawn(["judge", "the best", *(f"{share:.0%}" for share in SHARES)], rows)


class _Experiment:
    """The images and supernets of the experiment that a table was made by, in a folder."""

    def __init__(self, table: Table, folder: Path, quick: bool) -> None:
        self._folder, self._config = folder, read_config([ROOT / "config.yaml", ROOT / "configs/tables/digits.yaml"])
        if quick:
            self._config["supernet"]["epochs"] = 1
        self._width = float(table.made.get("trained base width", self._config["network"]["base_width"]))
        self._images = folder / "train.h5"
        self._do("prepare-dataset", "--dataset", "digits", "--train", self._images, "--test", folder / "test.h5")
        files = ["--subset", folder / "subset.csv", "--validation", folder / "validation.csv"]
        split = self._config["split"]
        counts = ["--validation-per-class", split["validation_per_class"], "--subset-per-class"]
        self._do("sample-subset", "--images", self._images, *counts, split["subset_per_class"], *files)
        info = read_info(self._images)
        self.spec = NetworkSpec(
            "vgg_small", table.spec.genome, base_width=self._width, channels=info.channels, size=info.size,
            classes=len(info.classes),
        )  # fmt: skip
        self.images = load_images(self._images, torch.device("cpu"), read_split(folder / "subset.csv", info))
        self._ratio = max(table.ratios)

    def _do(self, name: str, *words: object) -> None:
        if step([name, *map(str, words)]):
            raise SystemExit(1)

    def supernet(self, seed: int) -> Path:
        """Trains one as the search does. Returns its file."""
        file = self._folder / f"supernet_{seed}.h5"
        words = ["--images", self._images, "--subset", self._folder / "subset.csv", "--ratio", self._ratio]
        words += ["--network", "vgg_small", "--base-width", self._width, "--seed", seed, "--device", "cpu"]
        words += ["--precision", "float32", *flags(TrainingSettings, self._config["supernet"]).split()]
        outputs = ["--supernet", file, "--history", self._folder / "h.csv", "--timing", self._folder / "t.json"]
        self._do("pretrain-supernet", *words, *outputs)
        return file


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="digits-4096", help="name or file of a table of VGG-small on the digits")
    parser.add_argument(
        "--judge-seeds",
        type=int,
        default=3,
        help="of batches, weights and supernets; all genomes are judged from the first, trained ones from all",
    )
    parser.add_argument("--seeds", type=int, default=200, help="searches for each way to begin")
    parser.add_argument("--lambdas", type=float, nargs="+", default=[4.0, 16.0])
    parser.add_argument("--algorithms", nargs="+", default=["evolution", "local_search"])
    parser.add_argument("--budget", default="10x16", help="GENERATIONSxPOPULATION")
    parser.add_argument("--choice", type=int, default=8, help="genomes drawn for each of the first generation")
    parser.add_argument("--quick", action="store_true", help="a made-up table, few seeds, a small budget")
    arguments = parser.parse_args()
    execution_on("cpu")
    with TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.quick:
            arguments.table, arguments.judge_seeds, arguments.seeds = str(made_up(folder / "made-up.npz", 2)), 2, 3
            arguments.budget, arguments.lambdas, arguments.algorithms = "3x4", [4.0], ["evolution"]
        table = read_table(find_table(arguments.table))
        experiment = _Experiment(table, folder, arguments.quick)
        judges: Values = {}
        seconds: dict[str, float] = {}
        supernets = [experiment.supernet(seed) for seed in range(arguments.judge_seeds)]
        for weights in WEIGHTS:
            for judge_name in JUDGES:
                judges[f"{judge_name}, weights {weights}"] = np.full((len(supernets), len(table.genomes)), np.nan)
            for seed, supernet in enumerate(supernets):
                places = trained_places(table) if seed else np.arange(len(table.genomes))
                genomes = [table.genomes[place] for place in places]
                said, spent = judged(experiment.spec, genomes, experiment.images, supernet, weights, seed)
                for judge_name in JUDGES:
                    judges[f"{judge_name}, weights {weights}"][seed, places] = said[judge_name]
                    seconds.setdefault(f"{judge_name}, weights {weights}", spent[judge_name])
    print(f"table {Path(arguments.table).stem}, {arguments.judge_seeds} seeds of the judges\n")
    print(ranking(table, judges, seconds, 20 if arguments.quick else 200), "\n", flush=True)
    generations, population = map(int, arguments.budget.split("x"))
    costs = {name: values[None] for name, values in free(table).items()}
    begin = {name: costs[name] if name in costs else judges[f"{name}, weights drawn"] for name in FIRST}
    for penalty in arguments.lambdas:
        for algorithm in arguments.algorithms:
            print(
                f"λ = {penalty:g}, {algorithm}, {generations} generations of {population}, {arguments.seeds} seeds:\n"
            )
            found = warm_starts(
                table, begin, penalty, algorithm, arguments.seeds, (generations, population), arguments.choice
            )
            print(found, "\n", flush=True)


if __name__ == "__main__":
    main()
