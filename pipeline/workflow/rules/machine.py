"""The resources that jobs ask of the machine that they run on."""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.training.execution import gpu_is_used
from pipeline.workflow.slurm.partition import jobs_use_gpus
from pipeline.workflow.workers import workers


class Machine:
    """Processes, cores, memory and GPUs of an experiment's jobs, as far as this run of Snakemake has them."""

    def __init__(self, workflow: Any, config: Mapping[str, Any]) -> None:
        self._workflow, self._config = workflow, config
        self.threads: int = config["execution"]["threads"]
        self.processes: int = config["execution"]["processes"]
        self._gpu_is_used = self._trainings_use_gpus()

    def _trainings_use_gpus(self) -> bool:
        """Returns whether trainings run on GPUs: those of this machine, or those of the nodes that they are sent to.

        In a job on such a node, it is this machine again.
        """
        workflow, device = self._workflow, self._config["execution"]["device"]
        # The executor is not known yet. Jobs at a time are given for remote ones only (and for some local dry runs).
        sent = workflow.is_main_process and workflow.resource_settings.nodes is not None
        if not (sent and device == "auto"):
            return gpu_is_used(device)
        partition = (workflow.resource_settings.default_resources or {}).get("slurm_partition")
        return jobs_use_gpus(str(getattr(partition, "raw", None) or "").strip("'\""))

    def gpus(self, processes: int = 1) -> int:
        """Returns the GPUs that a training asks for: one for each of its processes.

        Raises:
            WorkflowError: this run is given fewer; Snakemake would silently lower the request.
        """
        from pipeline.workflow.rules.refusal import Error

        wanted = processes * self._gpu_is_used
        given = self._workflow.global_resources.get("gpu")
        given = getattr(given, "value", given)
        if self._workflow.is_main_process and given is not None and processes > 1 and wanted > given:
            raise Error(
                f"execution.processes is {processes}, but this run is given gpu={given}: add --resources gpu={wanted}"
            )
        return wanted

    def cpus(self, wildcards: Any, threads: int) -> int:
        """Returns the cores that a job gets on a cluster: those it computes on, and one for each decoding process."""
        return threads + int(self._config["execution"]["loaders"]) * (threads // self.threads)

    def memory(self, megabytes: int) -> Callable[[Any, int], int]:
        """Returns the main memory that a job asks for, as a function of its attempt: more when it is tried again."""
        return lambda wildcards, attempt: megabytes * attempt

    def cores_for_candidates(self, wildcards: Any) -> int:
        """Returns the cores of a job that trains candidates side by side."""
        workflow = self._workflow
        local = workflow.is_main_process and workflow.local_exec
        cores = (workflow.resource_settings.cores or 1) if local else None  # none is given for --dag and the like
        return workers(self._config, cores, self.gpus()) * self.threads

    def shared_python(self) -> str:
        """Returns what runs a training that several processes can share: Python, or torchrun for more than one."""
        return "python" if self.processes == 1 else f"torchrun --standalone --nproc-per-node {self.processes}"
