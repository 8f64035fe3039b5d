"""What an experiment computes with is settled once, and every step keeps to it or stops."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from pipeline.common.errors import UserError
from pipeline.kernels import build
from pipeline.training import execution
from pipeline.training.arithmetic import arithmetic_of, settle
from pipeline.training.settings import ExecutionSettings

AUTO = ExecutionSettings("cpu", "auto", 1)


@pytest.fixture
def record(tmp_path):
    return tmp_path / "results" / "arithmetic.json"


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Makes a script the compiler, in a cache folder in which nothing is compiled yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def become(script: str) -> None:
        program = tmp_path / "compiler"
        program.write_text(f"#!/bin/sh\necho asked >> {tmp_path}/asked\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("CXX", str(program))

    return become


def lacks(monkeypatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")


def test_the_first_step_writes_it_down_and_the_next_keeps_to_it(record, compiler, monkeypatch):
    lacks(monkeypatch)
    compiler("exit 1")
    first = settle(AUTO, record)
    assert first.kernels == "torch"
    written = record.read_bytes()
    for found in ("check", "compiled"):  # now there would be kernels
        monkeypatch.setattr(build, found, lambda sources: sources)
    monkeypatch.setattr(execution, "_computes_bfloat16", lambda device: True)
    assert settle(AUTO, record) == first
    assert settle(AUTO, None) != first, "without a record it is another one"
    assert record.read_bytes() == written


def test_a_machine_without_kernels_stops_where_others_had_them(record, compiler, monkeypatch):
    with monkeypatch.context() as where_there_is_one:
        where_there_is_one.setattr(build, "compiled", lambda sources: sources)
        assert settle(AUTO, record).kernels == "compiled"
    compiler("exit 1")
    with pytest.raises(
        UserError, match=r"computes with compiled kernels, but the C\+\+ compiler failed.*to settle anew"
    ):
        settle(AUTO, record)


def test_a_machine_without_a_gpu_stops_where_others_had_one(record, monkeypatch):
    anywhere = ExecutionSettings("auto", "auto", 1)
    monkeypatch.setattr(execution, "_has_gpu", lambda: True)
    monkeypatch.setattr(execution, "_computes_bfloat16", lambda device: True)
    monkeypatch.setattr("pipeline.training.arithmetic.describe_machine", lambda device: "a GPU")
    assert settle(anywhere, record).device_type == "cuda"
    monkeypatch.setattr(execution, "_has_gpu", lambda: False)
    with pytest.raises(UserError, match="computes on a GPU, but torch finds none here"):
        settle(anywhere, record)


def test_a_gpu_that_came_later_is_not_used(record, monkeypatch, capsys):
    anywhere = ExecutionSettings("auto", "float32", 1, "torch")
    monkeypatch.setattr(execution, "_has_gpu", lambda: False)
    assert settle(anywhere, record).device_type == "cpu"
    for name in ("_has_gpu", "_has_gpu_driver"):
        monkeypatch.setattr(execution, name, lambda: True)
    assert settle(anywhere, record).device_type == "cpu"
    assert "the GPU of this machine is not used" in capsys.readouterr().err


def test_a_gpu_that_torch_cannot_use_is_told(record, compiler, monkeypatch, capsys):
    """As after a machine has slept, or a driver was installed anew: the experiment would stay on the CPU for ever."""
    compiler("exit 1")
    said = "warning: torch cannot use the GPU that is here (it was built for none): the CPU computes instead"
    monkeypatch.setattr(execution, "_has_gpu", lambda: False)
    monkeypatch.setattr(execution.platform, "system", lambda: "Linux")
    monkeypatch.setattr("torch.version.cuda", None)
    anywhere = replace(AUTO, device="auto")
    monkeypatch.setattr(execution, "_has_gpu_driver", lambda: False)
    settle(anywhere, None)
    assert said not in capsys.readouterr().err, "there is none"
    monkeypatch.setattr(execution, "_has_gpu_driver", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    settle(anywhere, record)
    assert capsys.readouterr().err.count(said) == 1
    settle(anywhere, record)
    settle(AUTO, None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    settle(anywhere, None)
    assert said not in capsys.readouterr().err, "it is settled, or meant so"


def test_another_processor_or_torch_is_told(record, monkeypatch, capsys):
    plain = ExecutionSettings("cpu", "float32", 1, "torch")
    settle(plain, record)
    settle(plain, record)
    assert "last digits" not in capsys.readouterr().err
    monkeypatch.setattr("pipeline.training.arithmetic.describe_machine", lambda device: "Another One")
    execution = settle(plain, record)
    assert "runs on Another One" in capsys.readouterr().err
    assert "Another One" in arithmetic_of(execution)


@pytest.mark.parametrize(
    "name", ["ATEN_CPU_CAPABILITY", "GLIBC_TUNABLES", "MKL_CBWR", "NVIDIA_TF32_OVERRIDE", "ONEDNN_DEFAULT_FPMATH_MODE"]
)
def test_an_environment_that_asks_for_other_arithmetic_is_told(record, monkeypatch, capsys, name):
    plain = ExecutionSettings("cpu", "float32", 1, "torch")
    before = arithmetic_of(settle(plain, record))
    capsys.readouterr()
    monkeypatch.setenv(name, "1")
    assert arithmetic_of(settle(plain, record)) == f"{before}, {name}=1"
    assert f"{name}=1: last digits differ" in capsys.readouterr().err


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor knows no such mode")
def test_a_processor_that_was_told_to_flush_denormal_numbers_is_told(record, capsys):
    plain = ExecutionSettings("cpu", "float32", 1, "torch")
    before = arithmetic_of(settle(plain, record))
    torch.set_flush_denormal(True)
    try:
        assert arithmetic_of(settle(plain, record)) == f"{before}, denormal numbers taken for 0"
    finally:
        torch.set_flush_denormal(False)
    assert "denormal numbers taken for 0: last digits differ" in capsys.readouterr().err
    assert arithmetic_of(settle(plain, record)) == before


@pytest.mark.parametrize(("precision", "rounded"), [("float32", False), ("bfloat16", True)])
def test_float32_on_a_gpu_is_not_rounded_to_tf32(monkeypatch, precision, rounded):
    """As torch's convolutions are by default: the network would answer otherwise wherever else it runs."""
    threads = torch.get_num_threads()
    for name in ("allow_tf32", "benchmark"):
        monkeypatch.setattr(torch.backends.cudnn, name, not rounded if name == "allow_tf32" else False)
    execution.Execution("cuda", precision, threads).apply()
    assert torch.backends.cudnn.allow_tf32 is rounded
    assert not torch.backends.cuda.matmul.allow_tf32


def test_changed_settings_are_settled_anew(record):
    assert settle(ExecutionSettings("cpu", "float32", 1, "torch"), record).precision == "float32"
    assert settle(ExecutionSettings("cpu", "bfloat16", 2, "torch"), record).precision == "bfloat16"
    assert settle(ExecutionSettings("cpu", "bfloat16", 1, "torch"), record).threads == 1, "of the call"
    assert json.loads(record.read_text())["asked"]["precision"] == "bfloat16"
    assert [file.name for file in record.parent.iterdir()] == [record.name]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"asked": {}, "settled": {"device": "tpu"}, "on": {}}'])
def test_a_damaged_record_is_said(record, content):
    record.parent.mkdir()
    record.write_text(content)
    with pytest.raises(UserError, match="arithmetic.json"):
        settle(AUTO, record)


def test_an_edited_record_is_said(record):
    settle(ExecutionSettings("cpu", "auto", 1, "torch"), record)
    other = {"float32": "bfloat16", "bfloat16": "float32"}
    values = json.loads(record.read_text())
    values["settled"]["precision"] = other[values["settled"]["precision"]]
    record.write_text(json.dumps(values))
    with pytest.raises(UserError, match="changed after it was written"):
        settle(ExecutionSettings("cpu", "auto", 1, "torch"), record)


def test_a_killed_compiler_settles_nothing(record, compiler, tmp_path):
    """The same command would otherwise give other networks after a kill than without one."""
    compiler("kill -9 $$")
    with pytest.raises(UserError, match=r"did not get to its end.*call again"):
        settle(AUTO, record)
    assert not record.exists()
    files = len(list(build.SOURCES.glob("*.cpp")))
    assert (tmp_path / "asked").read_text() == "asked\n" * files * 2, "tried again at once"
    assert not list((tmp_path / "cache").rglob("*.failed")), "and not remembered"


@pytest.mark.skipif(not shutil.which("g++"), reason="there is no g++")
def test_a_compiler_that_is_killed_once_changes_nothing(record, compiler, tmp_path):
    compiler(
        f"[ -e {tmp_path}/killed ] || {{ touch {tmp_path}/killed; "
        f'echo "g++: fatal error: Killed signal terminated program cc1plus"; exit 1; }}\n'
        f'for word; do [ "$word" = -O3 ] && word=-O0; set -- "$@" "$word"; shift; done; exec g++ "$@"'
    )
    assert settle(AUTO, record).kernels == "compiled"


def test_processes_that_settle_at_once_agree(record, compiler):
    compiler("exit 1")
    program = "import sys; from pathlib import Path; from pipeline.training.arithmetic import settle; "
    program += "from pipeline.training.settings import ExecutionSettings; "
    program += "print(settle(ExecutionSettings('cpu', sys.argv[2], 1), Path(sys.argv[1])).identity)"
    settle(ExecutionSettings("cpu", "bfloat16", 1, "torch"), record)  # a stale one to replace
    words = [sys.executable, "-c", program, str(record), "float32"]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert {process.communicate()[0] for process in processes} == {"['cpu', 'float32', 1, 'torch']\n"}
    assert [file.name for file in record.parent.iterdir()] == [record.name]
