"""Reading how far genomes are that are trained several times over: the finalists of a row, and the proxy's sample."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline.search.tables import POPULATION, TIMINGS, needed
from pipeline.workflow.layout import CandidateFiles
from pipeline.workflow.proxy import samples
from pipeline.workflow.status.experiment import Experiment
from pipeline.workflow.status.files import MALFORMED, number, size
from pipeline.workflow.status.logs import log_progress
from pipeline.workflow.status.reading import RepeatedState


class Repeated:
    """The sets of genomes of an experiment that are trained several times over."""

    def __init__(self, experiment: Experiment) -> None:
        self._config = experiment.config.config if experiment.config else None
        self._outdated = experiment.outdated
        self._layout = experiment.layout
        self._files = experiment.files

    def finalists(self) -> tuple[RepeatedState, ...]:
        """Returns the finalists of each row that the configuration asks for; none without one."""
        return self._asked_for(self._finalists)

    def sample(self) -> tuple[RepeatedState, ...]:
        """Returns the proxy's sample, as candidates and in full, if the configuration asks for it."""
        return self._asked_for(self._sample)

    def _asked_for(self, read: Callable[[], Iterator[RepeatedState]]) -> tuple[RepeatedState, ...]:
        try:
            return tuple(read())
        except MALFORMED as error:
            self._files.complain(f"{self._layout.config} is not complete: {type(error).__name__}, {error}")
            return ()

    def _finalists(self) -> Iterator[RepeatedState]:
        config = self._config
        if config is None or not config["search"]["finalists"]:
            return
        for model in (name for name, row in config["models"].items() if "search" in row):
            # Those of the search itself are number 0.
            files, times = self._layout.finalists(model), range(1, config["search"]["rescorings"] + 1)
            yield self._state(
                model,
                files,
                [(files.repeated(time), files.repeated_timing(time)) for time in times],
                [self._layout.log("finalists", model, f"evaluate_{time}") for time in times],
                config["search"]["finalists"],
                done=self._is_there(files.found),
            )

    def _sample(self) -> Iterator[RepeatedState]:
        config, files = self._config, self._layout.sample
        if config is None or not samples(config):
            return
        scored, trained = (range(config["proxy"][key]) for key in ("scores", "trainings"))
        yield self._state(
            "as candidates",
            files,
            [(files.scores(time), files.scores_timing(time)) for time in scored],
            [self._layout.log("proxy", f"score_{time}") for time in scored],
            samples(config),
        )
        yield self._state(
            "in full",
            files,
            [(files.trained(time), files.trained_timing(time)) for time in trained],
            [self._layout.log("proxy", f"train_{time}") for time in trained],
            samples(config),
            briefly=False,
        )

    def _state(
        self,
        name: str,
        files: CandidateFiles,
        tables: Sequence[tuple[Path, Path]],
        logs: Sequence[Path],
        planned: int,
        *,
        done: bool = True,
        briefly: bool = True,
    ) -> RepeatedState:
        """Returns how far one set is.

        Args:
            name: of the set.
            files: of its genomes.
            tables: of each repetition, what they scored and what that took.
            logs: of each repetition.
            planned: how many genomes there are to be.
            done: whether what follows from its tables is there.
            briefly: whether they are trained as candidates are.
        """
        there = files.population not in self._outdated
        population = self._files.table(files.population, needed(POPULATION)) if there else None
        genomes = planned if population is None else len(population)
        finished, speeds = 0, []
        for (scores, timing), log in zip(tables, logs, strict=True):
            if self._is_there(scores):
                finished += genomes
                speeds += self._speed(timing)
                continue
            # Begun anew, there would be no scores of before; while there are, the log is of what made them.
            progress = None if scores in self._outdated else log_progress(log)
            if progress is not None:
                finished += min(progress.done, genomes)
                speeds += [progress.per_second] if progress.per_second else []
        total = genomes * len(tables)
        left = (total - finished) / speeds[-1] if speeds else None
        return RepeatedState(
            name,
            finished,
            total,
            complete=done and all(self._is_there(scores) for scores, _ in tables),
            seconds_left=0.0 if finished == total else left,
            briefly=briefly,
        )

    def _is_there(self, file: Path) -> bool:
        return file not in self._outdated and bool(size(file))

    def _speed(self, timing: Path) -> list[float]:
        """Returns how many a second were trained, one after the other; nothing where that is not known."""
        try:
            rows = self._files.table(timing, needed(TIMINGS)) or []
            seconds = sum(number(row["seconds"]) for row in rows if row["reused"] != "1")
            trained = sum(row["reused"] != "1" for row in rows)
        except MALFORMED as error:
            self._files.complain(f"{timing} holds no times: {error}")
            return []
        return [trained / seconds] if seconds > 0 else []
