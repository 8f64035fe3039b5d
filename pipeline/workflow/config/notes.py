"""Notes on settings that are allowed, and may do something else than whoever has changed them thinks."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from pipeline.networks.architectures import find_architecture
from pipeline.networks.spec import uniform_genome
from pipeline.report.published import find_table
from pipeline.search.algorithms import ALGORITHMS, own_keys, stops_early
from pipeline.workflow.config.default import default_config
from pipeline.workflow.config.networks import spec_of
from pipeline.workflow.config.trainings import TRAININGS
from pipeline.workflow.counting import counting_of
from pipeline.workflow.proxy import samples
from pipeline.workflow.recipes import recipe_of, teacher_of

#: Images of one's own, as a rule; named and not imported, which would take decoders along.
_FOLDER = "image_folder"
#: Images that published accuracies are of → what they are called in ``dataset.name``.
_IMAGES_OF = {"CIFAR-10": ("cifar10", "torchvision:CIFAR10"), "ImageNet": ("torchvision:ImageNet",)}


def notes_on(config: Mapping[str, Any]) -> list[str]:
    """Returns sentences about settings of a checked configuration that may do something else than whoever has changed
    them thinks: nothing, or limit another network than the one that is trained.
    """
    search, default = config["search"], default_config()
    trained = TRAININGS if config["searches"] else ("retrain",)
    idle = {
        f"{section}.{key}": f"{section}.schedule is '{config[section]['schedule']}'"
        for section in trained
        for key in ("milestones", "gamma")
        if config[section]["schedule"] != "milestones" and config[section][key] != default[section][key]
    }
    idle |= {
        f"models.{model}.retrain.{key}": f"its schedule is '{recipe_of(config, model)['schedule']}'"
        for model, row in config["models"].items()
        for key in ("milestones", "gamma")
        if key in row.get("retrain", {}) and recipe_of(config, model)["schedule"] != "milestones"
    }
    taught = any(teacher_of(config, model) for model in config["models"])
    if config["retrain"]["teacher_weight"] != default["retrain"]["teacher_weight"] and not taught:
        idle["retrain.teacher_weight"] = "no row has a teacher"
    if search["early_stop_epochs"] is None and search["early_stop_keep"] != default["search"]["early_stop_keep"]:
        idle["search.early_stop_keep"] = "search.early_stop_epochs is null"
    if config["searches"]:
        idle |= _looked_at_by_none(config)
    notes = [f"{key} has no effect, since {why}" for key, why in idle.items()]
    if config["retrain"]["teacher"] is not None and samples(config):
        notes.append(
            "proxy.sample is trained in full without retrain.teacher, which has learnt from the images that it is "
            "scored on: what the proxy says is of such trainings"
        )
    notes += [*_left_as_for_digits(config), *_published_of_others(config)]
    if config["searches"]:
        notes += [
            *_seeds_left_as_they_are(config),
            *_called_as_runs(config),
            *_asked_for_nothing(config),
            *_alike(config),
            *_looking_at_nothing(config),
            *_more_than_there_are(config),
        ]
    counted, trained_at = search["cost_width"], config["network"]["base_width"]
    if config["searches"] and counted != trained_at:
        limits = (key for key in ("max_flops", "max_memory", "max_latency") if search[key] is not None)
        notes += [
            f"search.{key} limits the network at base width {counted:g} (search.cost_width), while it is trained at "
            f"{trained_at:g}"
            for key in limits
        ]
    if config["dataset"]["name"] == _FOLDER and counted != trained_at:
        notes.append(
            f"costs are those of networks at base width {counted:g} (search.cost_width), in searches, controls and "
            f"tables, and not of what is trained at {trained_at:g}: give search.cost_width {trained_at:g} too, if that "
            "is what will be used"
        )
    return notes


def _looked_at_by_none(config: Mapping[str, Any]) -> dict[str, str]:
    """Returns settings of all searches, of finalists and of the proxy that are changed, and that nothing here looks at:
    by their names, why.
    """
    search, proxy, default = config["search"], config["proxy"], default_config()
    algorithms = dict.fromkeys(run["algorithm"] for run in config["searches"].values())
    some = {key for name in ALGORITHMS for key in own_keys(name)}
    used = {key for name in algorithms for key in own_keys(name)}
    titles = ", ".join(str(ALGORITHMS[name].TITLE) for name in algorithms)
    idle = {
        f"search.{key}": f"no search here looks at it ({titles})"
        for key in search
        if key in some - used and search[key] != default["search"].get(key)
    }
    looking = [name for name in algorithms if ALGORITHMS[name].LOOKS_AT_SCORES]
    if search["early_stop_epochs"] is not None and looking and not any(map(stops_early, looking)):
        idle["search.early_stop_epochs"] = f"no search here stops a candidate early ({titles})"
    if not search["finalists"] and search["rescorings"] != default["search"]["rescorings"]:
        idle["search.rescorings"] = "search.finalists is 0"
    if not samples(config):
        changed = [key for key in ("scores", "trainings") if proxy[key] != default["proxy"][key]]
        idle |= {f"proxy.{key}": "proxy.sample is 0" for key in changed}
    return idle


def _seeds_left_as_they_are(config: Mapping[str, Any]) -> Iterator[str]:
    """Yields that searches propose from the default experiment's seeds, which stand in it, though the experiment's own
    was changed.
    """
    seed, default = config["seed"], default_config()
    if seed == default["seed"]:
        return
    runs = [(name, run) for name, run in config["searches"].items() if run.get("run_of", name) == name]
    usual = {name: (search or {}).get("seed") for name, search in default["searches"].items()}
    left = [name for name, run in runs if "seed" in run and run["seed"] == usual.get(name)]
    if left:
        yield (
            f"seed is {seed}, but searches.{', '.join(left)} keep the default's own (seed: {usual[left[0]]}): their "
            "first genomes, and all of a random search, are those of an experiment with another seed; give each its "
            "seed, or null for the experiment's"
        )


def _called_as_runs(config: Mapping[str, Any]) -> Iterator[str]:
    """Yields searches whose names are those that another one's runs have, by which figures tell runs."""
    for name, run in config["searches"].items():
        first, _, number = name.rpartition("-")
        if run.get("run_of", name) == name and number.isdecimal() and first in config["searches"]:
            yield (
                f"searches.{name} is called as runs of searches.{first} are: figures draw it as one of them; give it "
                "another name"
            )


def _published_of_others(config: Mapping[str, Any]) -> Iterator[str]:
    """Yields published accuracies that are of another data set; a folder may hold that one."""
    if config.get("published") is None:
        return
    dataset, name = find_table(config["published"]).dataset, config["dataset"]["name"]
    if name not in (_FOLDER, *_IMAGES_OF[dataset]):
        yield f"published is '{config['published']}', of {dataset}: accuracies on {name} do not compare with those"


def _asked_for_nothing(config: Mapping[str, Any]) -> Iterator[str]:
    """Yields accuracies and costs that nearly every network has, such as a share where percent are meant."""
    search, runs = config["search"], config["searches"]
    asking = {f"searches.{name}": run for name, run in runs.items() if run.get("run_of", name) == name}
    asking |= {f"models.{name}": row for name, row in config["models"].items()}
    for where, section in asking.items():
        if 0 < section.get("min_top1", 0) <= 1:
            yield f"{where}.min_top1 is {section['min_top1']:g} %, which every network has: it is in percent"
        if "max_cost" in section:
            spec = spec_of(config).at_width(search["cost_width"])
            widest = spec.with_genome(uniform_genome(spec.network, max(search["ratios"])))
            dearest, limit = counting_of(config).relative(widest), section["max_cost"]
            if limit > dearest:
                yield (
                    f"{where}.max_cost is {limit:g} times uniform-1x's cost, which limits nothing: the dearest network "
                    f"has {dearest:.3g} times"
                )


def _more_than_there_are(config: Mapping[str, Any]) -> Iterator[str]:
    """Yields that searches will end before their last generation, since they have tried every genome."""
    search, spec = config["search"], spec_of(config)
    most, space = search["generations"] * search["population"], len(search["ratios"]) ** len(spec.genome)
    if most > space:
        yield (
            f"search.generations of search.population are {most:,} candidates, but search.ratios allow {space:,} "
            "genomes: a search ends when it has tried all"
        )


def _looking_at_nothing(config: Mapping[str, Any]) -> Iterator[str]:
    """Yields searches that would go by scores, and end before they have any."""
    if config["search"]["generations"] > 1:
        return
    for name, run in config["searches"].items():
        if run.get("run_of", name) == name and ALGORITHMS[run["algorithm"]].LOOKS_AT_SCORES:
            yield (
                f"searches.{name} has one generation (search.generations), so it looks at no score: all its candidates "
                "are drawn at random"
            )


def _alike(config: Mapping[str, Any]) -> Iterator[str]:
    """Yields the first layer in which two ratios make the same number of channels, though their costs differ."""
    spec, ratios = spec_of(config), sorted(config["search"]["ratios"])
    made = [spec.with_genome(uniform_genome(spec.network, ratio)).widths for ratio in ratios]
    for (low, widths), (high, others) in pairwise(zip(ratios, made, strict=True)):
        same = [place for place, (one, other) in enumerate(zip(widths, others, strict=True)) if one == other]
        if same:
            gene = find_architecture(spec.network).GENES[same[0]]
            yield (
                f"search.ratios {low:g} and {high:g} both make {widths[same[0]]} channels of {gene} at "
                f"network.base_width {spec.base_width:g}: they are trained alike, whatever they cost at "
                "search.cost_width"
            )
            return


def _left_as_for_digits(config: Mapping[str, Any]) -> Iterator[str]:
    """Yields what an overlay for other images has left as it is for the default experiment's."""
    images, usual = config["dataset"], default_config()["dataset"]
    if images["name"] == usual["name"]:
        return
    if images["image_size"] == usual["image_size"]:
        yield f"dataset.image_size is {images['image_size']}, as for {usual['name']}: a few pixels are seen"
    if config["experiment"] == default_config()["experiment"]:
        yield f"experiment is '{config['experiment']}', as for {usual['name']}: its results are replaced by these"
