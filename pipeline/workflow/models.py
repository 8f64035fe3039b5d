"""The rows of the table of results, as the configuration has them: given genomes, found ones and their controls."""

from collections.abc import Mapping
from typing import Any

from pipeline.common.errors import UserError
from pipeline.networks.genome import Genome
from pipeline.networks.spec import uniform_genome
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.choice import SCORE
from pipeline.search.objectives import DEFAULT as OBJECTIVE
from pipeline.search.objectives import OBJECTIVES

#: What a searched row can ask for itself, in place of what its search looked for → the objective that is.
ASKED = {"max_cost": "most_accurate", "min_top1": "cheapest"}
#: What a found row can be controlled by → how the control's row is named.
CONTROLS = {"uniform": "uniform-iso", "first-layer": "first-iso"}
#: Of a run, what it does not have in common with the other runs of its search.
_OWN = ("seed", "run_of")


def without_null(entry: Any) -> Any:
    """Returns a search or a row without the keys that an overlay has dropped."""
    return {key: v for key, v in entry.items() if v is not None} if isinstance(entry, Mapping) else entry


def with_controls(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the rows, each one that a search found with its controls of equal cost behind it.

    Searches that are baselines themselves get none. A row that has the control's name already is left as it is.

    Raises:
        UserError: two rows would have controls of one name.
    """
    models = dict(config["models"])
    rows: dict[str, Any] = {}
    for model, row in models.items():
        rows.setdefault(model, row)
        if "search" not in row or is_baseline(config, row["search"]):
            continue
        for control in config["controls"]:
            name = f"{CONTROLS[control]}-{model.removeprefix('found-')}"
            if rows.get(name, {"of": model}).get("of", model) != model:
                raise UserError(
                    f"models.{model} and models.{rows[name]['of']} would have controls of one name, {name}",
                    "rename one of them",
                )
            rows.setdefault(name, models.get(name, {"control": control, "of": model}))
    return rows


def genome_of(config: Mapping[str, Any], model: str) -> Genome:
    """Returns the genome that the configuration gives to a row of the table; one number stands for a uniform one."""
    genome = config["models"][model]["genome"]
    if isinstance(genome, list):
        return tuple(float(ratio) for ratio in genome)
    return uniform_genome(config["network"]["name"], genome)


def is_baseline(config: Mapping[str, Any], search: str) -> bool:
    """Returns whether a search is one that others are measured against; False for one that is not known."""
    return any(ALGORITHMS[config["searches"][run]["algorithm"]].BASELINE for run in runs_of(config, search))


def search_of(config: Mapping[str, Any], model: str) -> str | None:
    """Returns the search that a row's genome depends on, for a control that of its found row; None for a given one."""
    row = config["models"][model]
    search: str | None = config["models"][row["of"]].get("search") if "control" in row else row.get("search")
    return search


def runs_of(config: Mapping[str, Any], search: str) -> list[str]:
    """Returns the names of a search's runs, one for each of its seeds; the first has the name of the search."""
    return [name for name, run in config["searches"].items() if run.get("run_of", name) == search]


def with_runs(searches: Mapping[str, Any], seed: int = 0) -> dict[str, Any]:
    """Returns the runs of all searches: one of several seeds is a run for each of them, the first under its own name.

    Runs of one search stand together, in the order in which searches are named.

    Args:
        searches: as a person writes them, or runs already.
        seed: of the experiment, the first one of a search that names none.

    Raises:
        UserError: a search is called as another one's run, or a run looks for something else than its search.

    >>> with_runs({"A": {"algorithm": "evolution", "lambda": 4, "seed": 5, "seeds": 2}})["A-1"]
    {'algorithm': 'evolution', 'lambda': 4, 'seed': 6, 'run_of': 'A'}
    """
    runs: dict[str, Any] = {}
    for name, search in searches.items():
        section = dict(search)
        seeds, first = section.pop("seeds", 1), section.get("seed", seed)
        runs[name] = section
        for number in range(1, seeds):
            run = f"{name}-{number}"
            if searches.get(run, {"run_of": name}).get("run_of") != name:
                raise UserError(f"searches.{run} has the name of a run of searches.{name}", "give it another name")
            runs[run] = {**section, "seed": first + number, "run_of": name}
    _check_runs(runs)
    # Together, as they were made: a saved configuration that is laid over another one has its further runs at the end.
    together = dict.fromkeys(run.get("run_of", name) for name, run in runs.items())
    return {run: runs[run] for name in together for run in (name, *_further_runs(runs, name))}


def _further_runs(runs: Mapping[str, Any], search: str) -> list[str]:
    return [name for name, run in runs.items() if run.get("run_of") == search]


def _check_runs(runs: Mapping[str, Any]) -> None:
    """Checks that the runs of a search differ in their seeds alone: what is found is the best of all of them.

    A saved configuration names each run, and a setting laid over it may reach the first one only.

    Raises:
        UserError: one differs in something else, or is a run of no search.
    """
    for name, run in runs.items():
        search = run.get("run_of", name)
        if search not in runs:
            raise UserError(
                f"searches.{name} is a run of searches.{search}, which is not there", f"drop it too ({name}: null)"
            )
        first = runs[search]
        other = next((key for key in {**first, **run} if key not in _OWN and first.get(key) != run.get(key)), None)
        if other is not None:
            raise UserError(
                f"searches.{name} is a run of searches.{search} from another seed, but its {other} is "
                f"{run.get(other)} and not {first.get(other)}",
                f"change searches.{name}.{other} too, or drop the run ({name}: null)",
            )


def judge_of(config: Mapping[str, Any], model: str) -> str:
    """Returns the run by whose objective the genome of a searched row is chosen: of ``by``, or of its own search."""
    row = config["models"][model]
    return runs_of(config, row.get("by", row["search"]))[0]


def objective_section(config: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Returns a search's section, with the objective by which the genome of a searched row is chosen.

    >>> config = {"models": {"small": {"search": "F", "max_cost": 0.8}}, "searches": {"F": {"algorithm": "nsga2"}}}
    >>> objective_section(config, "small")
    {'algorithm': 'nsga2', 'objective': 'most_accurate', 'max_cost': 0.8}
    """
    row, section = config["models"][model], config["searches"][judge_of(config, model)]
    for key, objective in ASKED.items():
        if key in row:
            return {"algorithm": section["algorithm"], "objective": objective, key: row[key]}
    return dict(section)


def chosen_anew(config: Mapping[str, Any], model: str) -> bool:
    """Returns whether what was found is more than the best score of one run: of several, anew, by a model, by another
    objective, or by one that may have no candidate, which only this choice notices.
    """
    row = config["models"][model]
    objective = OBJECTIVES[objective_section(config, model).get("objective", OBJECTIVE)]
    if hasattr(objective, "admits"):
        return True
    other = "by" in row or not ASKED.keys().isdisjoint(row) or config["search"].get("chosen_by", SCORE) != SCORE
    return bool(config["search"]["finalists"]) or other or len(runs_of(config, row["search"])) > 1


def searched(config: Mapping[str, Any]) -> list[str]:
    """Returns the rows whose genome a search found."""
    return [model for model, row in config["models"].items() if "search" in row]
