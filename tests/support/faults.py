"""Small faults of meaning, each of which some fast test must notice: see :mod:`tests.support.mutations`.

Kept as text, since each stands for a way to be wrong that no operator swap would find.
"""

from tests.support.mutations import Fault

_EVOLUTION, _CANDIDATE = "pipeline/search/algorithms/evolution.py", "pipeline/search/candidate.py"
_TASK, _LOOP, _FULL = "pipeline/search/evaluate.py", "pipeline/training/loop.py", "pipeline/training/full.py"
_SPLITS, _CROPS = "pipeline/data/splits.py", "pipeline/data/augmentation.py"
_CHILDREN, _CANDIDATES = ("tests/search/test_evolution.py",), ("tests/search/test_candidate.py",)
_STEPS, _SHIFTS = ("tests/steps/test_penalty.py",), ("tests/data/test_augmentation.py",)
_BY_CLASS, _FRONT = ("tests/data/test_splits_by_class.py",), ("tests/report/test_pareto.py",)

FAULTS = (
    Fault(
        "parents ranked with λ = 0",
        _EVOLUTION,
        "objective.rank(everyone, settings.parents)",
        "type(objective)('fitness', type(objective.settings)(0.0)).rank(everyone, settings.parents)",
        _CHILDREN,
    ),
    Fault(
        "the step that proposes ignores λ",
        "pipeline/steps/propose_generation.py",
        "Objective(arguments.objective, weights)",
        "Objective(arguments.objective, type(weights)(0.0))",
        _STEPS,
    ),
    Fault(
        "the step that selects ignores λ",
        "pipeline/steps/select_best.py",
        "objective.rank(scored, 1)",
        "Objective('fitness', type(objective.settings)(0.0)).rank(scored, 1)",
        _STEPS,
    ),
    Fault(
        "parents from the last generation only",
        _EVOLUTION,
        "for individuals in history for individual",
        "for individuals in history[-1:] for individual",
        _CHILDREN,
    ),
    Fault(
        "a child of one parent need not change",
        _EVOLUTION,
        "at_least_one=not crossed",
        "at_least_one=False",
        _CHILDREN,
    ),
    Fault(
        "mutation rate taken as 0",
        _EVOLUTION,
        "genome, settings.mutation_rate, random",
        "genome, 0.0, random",
        _CHILDREN,
    ),
    Fault(
        "mutation to the next larger ratio only",
        "pipeline/search/algorithms/base.py",
        "random.choice(space.ratios) if i in mutated",
        "min([r for r in space.ratios if r > ratio], default=ratio) if i in mutated",
        _CHILDREN,
    ),
    Fault(
        "every repetition starts from the same weights",
        _FULL,
        'seed_for("weights", recipe.seed)',
        'seed_for("weights", 0)',
        _STEPS,
    ),
    Fault(
        "a repetition does not count",
        "pipeline/steps/retrain.py",
        "arguments.seed, arguments.repetition)",
        "arguments.seed, 0)",
        _STEPS,
    ),
    Fault(
        "the same augmentation in every epoch",
        _LOOP,
        '("augment", self.seed, self.epoch)',
        '("augment", self.seed, 0)',
        _SHIFTS,
    ),
    Fault(
        "the same augmentation for every seed",
        _LOOP,
        '("augment", self.seed, self.epoch)',
        '("augment", 0, self.epoch)',
        _SHIFTS,
    ),
    Fault(
        "a candidate's seed without its genome",
        _CANDIDATE,
        'seed_for("candidate", self.seed, format_genome(genome))',
        'seed_for("candidate", self.seed)',
        _CANDIDATES,
    ),
    Fault(
        "a candidate's seed without the experiment's",
        _CANDIDATE,
        'seed_for("candidate", self.seed, format_genome(genome))',
        'seed_for("candidate", format_genome(genome))',
        _CANDIDATES,
    ),
    Fault("recalibrate is ignored", _CANDIDATE, "recalibrated=self.recalibrate", "recalibrated=False", _CANDIDATES),
    Fault(
        "recalibrated over the validation images",
        _CANDIDATE,
        "recalibrate(network, self.subset",
        "recalibrate(network, self.validation",
        _CANDIDATES,
    ),
    Fault(
        "candidates scored on their training images",
        _CANDIDATE,
        "score(network, self.validation",
        "score(network, self.subset",
        _CANDIDATES,
    ),
    Fault(
        "the validation images loaded are the subset",
        _TASK,
        "load_images(self.images, device, self.validation",
        "load_images(self.images, device, self.subset",
        _CANDIDATES,
    ),
    Fault(
        "flips with probability a quarter",
        _CROPS,
        "torch.rand(count, generator=generator) < 0.5",
        "torch.rand(count, generator=generator) < 0.25",
        _SHIFTS,
    ),
    Fault(
        "photographs flipped with probability a quarter",
        "pipeline/data/photographs.py",
        "if random.random() < 0.5 else crop",
        "if random.random() < 0.25 else crop",
        ("tests/data/test_photographs.py",),
    ),
    Fault(
        "as accurate and dearer lies on the front",
        "pipeline/report/fronts.py",
        "worth(point) > worth(kept[-1])",
        "worth(point) >= worth(kept[-1])",
        _FRONT,
    ),
    Fault(
        "as cheap and less accurate lies on the front",
        "pipeline/report/fronts.py",
        "(cost(point), -worth(point))",
        "(cost(point), worth(point))",
        _FRONT,
    ),
    Fault(
        "a supernet twice as wide",
        "pipeline/steps/pretrain_supernet.py",
        "uniform_genome(arguments.network, arguments.ratio)",
        "uniform_genome(arguments.network, 2 * arguments.ratio)",
        _STEPS,
    ),
    Fault(
        "the splits of all classes shuffled alike",
        _SPLITS,
        "random_for(*address, label)",
        "random_for(*address)",
        _BY_CLASS,
    ),
)
