"""The GPUs of the nodes that jobs are sent to, asked of SLURM: a login node usually has none itself."""

import re
import subprocess

from pipeline.common.errors import UserError
from pipeline.common.log import say
from pipeline.training.execution import gpu_is_used

#: How the line starts that says what was decided.
DECISION = "execution.device is auto: "
#: Seconds for SLURM's controller to answer.
PATIENCE = 30.0


def jobs_use_gpus(partition: str) -> bool:
    """Returns whether a training that is sent to SLURM will run on a GPU where the device is 'auto'. Says what was
    decided.

    Where SLURM cannot be asked, this machine is taken for an example of the nodes.

    Args:
        partition: where jobs are sent; empty for the cluster's default, several are joined by commas.
    """
    where = f"the partition {partition}" if partition else "the default partition"
    try:
        found = has_gpus(partition)
    except FileNotFoundError:  # not a cluster, or not SLURM's
        return gpu_is_used("auto")
    except UserError as error:
        found = gpu_is_used("auto")
        wanted = "a GPU, as this machine has" if found else "none, as this machine has none"
        say(f"{DECISION}whether {where} has GPUs is not known ({error}): jobs ask for {wanted}")
        return found
    say(f"{DECISION}{where} has {'GPUs, and' if found else 'no GPUs, and'} jobs ask for {'them' if found else 'none'}")
    return found


def has_gpus(partition: str) -> bool:
    """Returns whether some of a partition's nodes have GPUs, or of one of several partitions.

    Raises:
        UserError: SLURM does not answer, or there is no such partition.
        FileNotFoundError: SLURM's programs are not on this machine.
    """
    words = ["sinfo", "--noheader", "--format=%P|%G", f"--partition={partition}" if partition else "--all"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise UserError("SLURM does not answer", "try again later") from None
    except subprocess.CalledProcessError as error:
        raise UserError("SLURM cannot be asked", " ".join(error.stderr.split())) from None
    return read_gpus(done.stdout, default=not partition)


def read_gpus(nodes: str, default: bool) -> bool:
    """Returns whether there are GPUs among nodes as ``sinfo`` lists them, a partition and its resources in each line.

    Args:
        nodes: lines of ``partition|resources``; the cluster's default partition has a star behind its name.
        default: look at the default partition alone.

    Raises:
        UserError: there is no partition to look at.

    >>> read_gpus("cpu*|(null)\\ngpu|gpu:a100:4(S:0-1),shard:16\\n", default=True)
    False
    """
    lines = [line.rpartition("|") for line in nodes.splitlines()]
    found = [resources for name, _, resources in lines if name.endswith("*") or not default]
    if not found:
        raise UserError("there is no such partition", "see what sinfo lists")
    return any(re.search(r"(^|,)gpu(:|\(|,|$)", resources) for resources in found)
