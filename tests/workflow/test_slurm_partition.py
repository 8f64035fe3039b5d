"""What SLURM's list of nodes says about GPUs; tests/workflow/test_slurm_cluster.py asks a real one."""

import pytest

from pipeline.common.errors import UserError
from pipeline.training.execution import gpu_is_used
from pipeline.workflow.slurm import partition
from pipeline.workflow.slurm.partition import jobs_use_gpus, read_gpus


@pytest.mark.parametrize(
    ("resources", "found"),
    [
        ("gpu:2", True),
        ("gpu", True),
        ("gpu:a100:4(S:0-1)", True),
        ("gpu(S:0)", True),
        ("craynetwork:4,gpu:v100:1", True),
        ("gpu:tesla:2(S:0,2),mps:200", True),
        ("(null)", False),
        ("", False),
        ("craynetwork:4", False),
        ("fpga:gpulike:1", False),
        ("nogpu:1", False),
    ],
)
def test_gpus_among_a_nodes_resources(resources, found):
    assert read_gpus(f"main*|{resources}\n", default=True) == found
    assert read_gpus(f"main|(null)\nmain|{resources}\n", default=False) == found


def test_only_the_partition_that_jobs_go_to_counts():
    nodes = "cpu*|(null)\nbig|(null)\ngpu|gpu:4\n"
    assert not read_gpus(nodes, default=True)
    assert read_gpus(nodes, default=False)  # sinfo lists those that were asked for


@pytest.mark.parametrize(("nodes", "default"), [("", False), ("", True), ("gpu|gpu:4\n", True)])
def test_no_such_partition(nodes, default):
    with pytest.raises(UserError, match="there is no such partition"):
        read_gpus(nodes, default)


def test_without_slurm_this_machine_counts(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert jobs_use_gpus("") == gpu_is_used("auto")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("program", ["echo sinfo: no controller >&2; exit 1", "exec sleep 60"])
def test_a_slurm_that_does_not_answer_is_told(monkeypatch, tmp_path, capsys, program):
    sinfo = tmp_path / "sinfo"
    sinfo.write_text(f"#!/bin/sh\n{program}\n")
    sinfo.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(partition, "PATIENCE", 2.0)
    assert jobs_use_gpus("big") == gpu_is_used("auto")
    said = capsys.readouterr().err
    assert "execution.device is auto: whether the partition big has GPUs is not known (SLURM" in said
    assert said.count("\n") == 1
