"""When each job of a plan would run, on so many cores and GPUs."""

import heapq
from collections.abc import Sequence
from typing import NamedTuple


class Job(NamedTuple):
    """One process of the workflow.

    ``needs`` are the positions of the jobs that must be done before it; of two that can start, the one of higher
    ``priority`` does. ``rule`` is the workflow's, ``of`` the search or the row that it is for.
    """

    stage: str
    seconds: float
    threads: int = 1
    needs: tuple[int, ...] = ()
    priority: int = 0
    gpus: int = 0
    rule: str = ""
    of: str = ""


class Span(NamedTuple):
    """When a job runs, in seconds from the beginning."""

    start: float
    end: float


def schedule(jobs: Sequence[Job], cores: int, gpus: int = 0) -> list[Span]:
    """Returns when each job runs on so many cores and GPUs, each started as soon as what it needs is done and there is
    room.
    """
    waiting = [len(set(job.needs)) for job in jobs]
    followers: list[list[int]] = [[] for _ in jobs]
    for position, job in enumerate(jobs):
        for need in set(job.needs):
            followers[need].append(position)
    ready = [(-job.priority, position) for position, job in enumerate(jobs) if not waiting[position]]
    heapq.heapify(ready)
    spans: list[Span] = [Span(0.0, 0.0)] * len(jobs)
    running: list[tuple[float, int]] = []
    now, free, free_gpus = 0.0, cores, gpus
    while ready or running:
        too_large = []
        while ready and free:
            entry = heapq.heappop(ready)
            job = jobs[entry[1]]
            if min(job.threads, cores) > free or min(job.gpus, gpus) > free_gpus:
                too_large.append(entry)
                continue
            free -= min(job.threads, cores)
            free_gpus -= min(job.gpus, gpus)
            spans[entry[1]] = Span(now, now + job.seconds)
            heapq.heappush(running, (now + job.seconds, entry[1]))
        for entry in too_large:
            heapq.heappush(ready, entry)
        now, position = heapq.heappop(running)
        free += min(jobs[position].threads, cores)
        free_gpus += min(jobs[position].gpus, gpus)
        for follower in followers[position]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heapq.heappush(ready, (-jobs[follower].priority, follower))
    return spans
