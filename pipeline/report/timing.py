"""The time of an experiment: wall time and device-hours, and how evenly its shards were loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from pipeline.networks.genome import Genome
from pipeline.search.shards import longest_over_mean


@dataclass(frozen=True)
class TrainingTime:
    """The time of one full training, by the clock. ``device`` is cpu or cuda, ``threads`` those of a CPU.

    ``processes`` took its steps together, each with a GPU, or with so many threads, of its own. Where their number
    changed at an interruption, it is the last one. ``origin`` names the training; rows that share one have it in
    common. ``arithmetic`` names what it was computed with, one after the other if it went on elsewhere.
    """

    seconds: float
    device: str
    threads: int
    machine: str
    processes: int = 1
    origin: str = ""
    arithmetic: tuple[str, ...] = ()

    @property
    def device_seconds(self) -> float:
        """The seconds of all processes together."""
        return self.seconds * self.processes


@dataclass(frozen=True)
class CandidateTime:
    """The time of one candidate's training when it was trained; ``reused`` if the archive had it.

    ``arithmetic`` names what it was computed with; empty if it was trained by a version that did not say so. ``kind``
    says what ``search`` is the name of: a search, or what candidates were trained for besides.
    """

    search: str
    genome: Genome
    seconds: float
    reused: bool
    machine: str
    generation: int = 0
    shard: int = 0
    arithmetic: str = ""
    kind: str = "search"

    @property
    def training(self) -> tuple[Genome, float, str]:
        """Returns what tells one training from others of the same genome, from other seeds or on more images: what it
        took, which is never twice the same, and which the archive tells to whoever it gives the score to.
        """
        return self.genome, self.seconds, self.machine


TIMING = (
    "name",
    "kind",
    "trainings",
    "seconds_per_training",
    "device_hours",
    "reused",
    "reused_share",
    "saved_device_hours",
    "device",
    "machine",
)


def timing_table(
    trainings: Mapping[str, Sequence[TrainingTime]],
    candidates: Sequence[CandidateTime],
    supernet: TrainingTime | None = None,
) -> list[dict[str, Any]]:
    """Returns wall time and device-hours of every row, the supernet and every search, with the columns ``TIMING``.

    A device-hour is an hour in which one process of a training has its device: a GPU, or on a CPU its threads. A
    training of several processes takes several of them in an hour. A search's own trainings are those that the archive
    did not have, ``saved_device_hours`` what the others took when they were made. The last line counts the training of
    a candidate once, whichever search it was for, and a full training once that several rows share.

    Args:
        trainings: the full trainings of each row, one for each seed.
        candidates: every evaluation of every search, of finalists and of the proxy's sample.
        supernet: None where no supernet was trained.
    """
    lines = [_training_line(name, "row", times) for name, times in trainings.items()]
    if supernet is not None:
        lines.append(_training_line("supernet", "supernet", [supernet]))
    searches = dict.fromkeys((candidate.search, candidate.kind) for candidate in candidates)
    lines += [
        _search_line(*name, [time for time in candidates if (time.search, time.kind) == name]) for name in searches
    ]
    distinct = {candidate.training: candidate.seconds for candidate in candidates}
    full = [time for times in trainings.values() for time in times] + ([supernet] if supernet else [])
    full = list({time.origin or str(i): time for i, time in enumerate(full)}.values())
    seconds = [*(time.seconds for time in full), *distinct.values()]
    device_seconds = sum(time.device_seconds for time in full) + sum(distinct.values())
    reused = len(candidates) - len(distinct) if candidates else None
    saved = sum(candidate.seconds for candidate in candidates) - sum(distinct.values()) if candidates else None
    total = _timing_line("everything", "total", seconds, device_seconds, reused, len(candidates), saved)
    return [*lines, total]


BALANCE = ("search", "generation", "shards", "longest_over_mean")


def balance_table(candidates: Sequence[CandidateTime]) -> list[dict[str, Any]]:
    """Returns how well the shards of every generation were balanced, with the columns ``BALANCE``.

    Generations in one piece have no line, nor have those in which nothing was trained.
    """
    seconds: dict[tuple[str, int], dict[int, float]] = {}
    for time in (time for time in candidates if time.kind == "search"):
        shards = seconds.setdefault((time.search, time.generation), {})
        shards[time.shard] = shards.get(time.shard, 0.0) + (0.0 if time.reused else time.seconds)
    return [
        {
            "search": search,
            "generation": generation,
            "shards": len(shards),
            "longest_over_mean": round(longest_over_mean(list(shards.values())), 3),
        }
        for (search, generation), shards in seconds.items()
        if len(shards) > 1 and any(shards.values())
    ]


def _training_line(name: str, kind: str, times: Sequence[TrainingTime]) -> dict[str, Any]:
    devices = dict.fromkeys(map(_devices, times))
    machines = dict.fromkeys(time.machine for time in times)
    return _timing_line(
        name,
        kind,
        [time.seconds for time in times],
        sum(time.device_seconds for time in times),
        device="; ".join(devices),
        machine="; ".join(machines),
    )


def _devices(time: TrainingTime) -> str:
    """Returns what a training had: 'cuda', '4 × cuda', '2 × cpu, 3 threads'."""
    device = time.device if time.device != "cpu" else f"cpu, {time.threads} thread{'s' * (time.threads != 1)}"
    return device if time.processes == 1 else f"{time.processes} × {device}"


def _search_line(name: str, kind: str, times: Sequence[CandidateTime]) -> dict[str, Any]:
    own = [time.seconds for time in times if not time.reused]
    saved = [time.seconds for time in times if time.reused]
    machines = dict.fromkeys(time.machine for time in times if time.machine)
    return _timing_line(name, kind, own, sum(own), len(saved), len(times), sum(saved), machine="; ".join(machines))


def _timing_line(
    name: str,
    kind: str,
    seconds: Sequence[float],
    device_seconds: float,
    reused: int | None = None,
    evaluations: int | None = None,
    saved: float | None = None,
    device: str = "",
    machine: str = "",
) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "trainings": len(seconds),
        "seconds_per_training": round(fmean(seconds), 2) if seconds else None,
        "device_hours": round(device_seconds / 3600, 6),
        "reused": reused,
        "reused_share": round(reused / evaluations, 4) if reused is not None and evaluations else None,
        "saved_device_hours": None if saved is None else round(saved / 3600, 6),
        "device": device,
        "machine": machine,
    }
