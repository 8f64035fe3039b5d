"""Measured latencies: every layer at every pair of widths, in a file that searches can count by."""

from pathlib import Path
from random import Random

import pytest

from pipeline.__main__ import main
from pipeline.export.latency import covering_genomes
from pipeline.kernels.build import CompilationError
from pipeline.kernels.inference import load
from pipeline.networks.latency import read_latency, widths_of
from pipeline.networks.spec import NetworkSpec
from tests.support.exported import sentence

SMALL = NetworkSpec("vgg_small", (1,) * 6, base_width=1 / 16, channels=1, size=8)


@pytest.mark.parametrize("spec", [SMALL, NetworkSpec("resnet18", (1,) * 12, base_width=1 / 16, size=32)])
def test_the_chosen_genomes_show_every_layer_at_all_its_widths(spec: NetworkSpec) -> None:
    ratios = (0.5, 1.0)
    genomes = covering_genomes(spec, ratios)
    assert genomes == covering_genomes(spec, ratios) and len(genomes) < 24
    shown = {(layer.name, widths_of(layer)) for genome in genomes for layer in spec.with_genome(genome).layers}
    random = Random(3)
    for _ in range(50):
        any_genome = spec.with_genome(tuple(random.choice(ratios) for _ in spec.genome))
        assert {(layer.name, widths_of(layer)) for layer in any_genome.layers} <= shown


def test_a_measured_table_has_a_time_for_every_genome(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        load()
    except CompilationError as error:
        pytest.skip(str(error))
    file = tmp_path / "latency.json"
    words = ["--base-width", 0.0625, "--channels", 1, "--image-size", 8, "--ratios", 0.5, 1, "--rounds", 2]
    assert main(["measure-latency", *map(str, words), "--output", str(file)]) == 0
    assert "uniform-1x takes" in capsys.readouterr().err
    table = read_latency(file)
    table.check(SMALL)
    random = Random(1)
    for _ in range(20):
        genome = tuple(random.choice((0.5, 1.0)) for _ in range(6))
        assert table.seconds(SMALL.with_genome(genome)) > 0
    assert {"conv1", "conv2", "classifier"} <= set(table.layers)
    assert table.made_with["kernels"]


def test_mistakes_get_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure-latency", "--rounds", "0", "--output", str(tmp_path / "l.json")]) == 1
    assert "--rounds is 0" in sentence(capsys)
    assert main(["measure-latency", "--output", "/proc/none/l.json"]) == 1
    assert "cannot write into /proc" in sentence(capsys)
