"""A table of latencies as a cost: sums over layers, a digest, and sentences for tables that do not fit."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.common.errors import UserError
from pipeline.networks.latency import LatencyTable, read_latency, widths_of, write_latency
from pipeline.networks.spec import NetworkSpec
from tests.support.latencies import made_up

SPEC = NetworkSpec("vgg_small", (1,) * 6, base_width=1 / 16, channels=1, size=8)


def table(*specs: NetworkSpec, start: float = 0.5) -> LatencyTable:
    """Each convolution takes its output channels in seconds; all else is computed with it."""
    layers: dict[str, dict[str, float]] = {}
    for layer in (layer for spec in specs for layer in spec.layers if layer.kind == "convolution"):
        layers.setdefault(layer.name, {})[widths_of(layer)] = float(layer.out_channels)
    return LatencyTable("vgg_small", 1 / 16, 1, 8, 10, layers, start)


def test_a_network_takes_the_sum_of_its_layers() -> None:
    wide = SPEC.with_genome((2,) * 6)
    found = table(SPEC, wide)
    channels = sum(SPEC.widths)
    assert found.seconds(SPEC) == channels + 0.5
    assert found.seconds(wide) == 2 * channels + 0.5


def test_it_survives_a_file_and_keeps_its_digest(tmp_path: Path) -> None:
    found = replace(table(SPEC), made_with={"machine": "a board"})
    write_latency(tmp_path / "latency.json", found)
    assert read_latency(tmp_path / "latency.json") == found
    assert found.digest == table(SPEC).digest != table(SPEC, start=0.25).digest


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda record: record.update(format="other"), "is no latency table"),
        (lambda record: record.pop("layers"), "is no whole latency table"),
        (lambda record: record.update(layers={"conv1": 3}), "is no whole latency table"),
        (lambda record: record.update(layers={"conv1": {"3": 0.5}}), "is no whole latency table"),
        (lambda record: record["layers"]["conv1"].update({"1,8": 0.1}), "its digest differs"),
    ],
)
def test_a_damaged_table_is_refused_in_a_sentence(tmp_path: Path, change, says: str) -> None:
    path = tmp_path / "latency.json"
    write_latency(path, table(SPEC))
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match=says):
        read_latency(path)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (replace(SPEC, size=16), "is for size 8, and this search has 16"),
        (replace(SPEC, base_width=0.125), "is for base width 0.0625, and this search has 0.125 \\(search.cost_width"),
        (NetworkSpec("resnet18", (1,) * 12, base_width=1 / 16, channels=1, size=32), "is for network vgg_small"),
    ],
)
def test_a_table_of_another_network_is_refused_in_a_sentence(spec: NetworkSpec, says: str) -> None:
    with pytest.raises(UserError, match=says):
        table(SPEC).check(spec)


def test_widths_that_were_not_measured_are_named() -> None:
    with pytest.raises(UserError, match="no time of layer 'conv1' with 1 and 16 channels"):
        table(SPEC).seconds(SPEC.with_genome((2, 1, 1, 1, 1, 1)))


def test_ratios_that_were_not_measured_are_told_with_the_command_that_measures_them() -> None:
    made_up(SPEC, ratios=(0.5, 1.0, 2.0)).check(SPEC, (0.5, 1.0, 2.0))
    with pytest.raises(UserError, match="no time of layer 'conv.*which search.ratios can give it") as raised:
        made_up(SPEC, ratios=(0.5, 1.0, 2.0)).check(SPEC, (0.5, 1.0, 3.0))
    assert "--base-width 0.0625 --channels 1 --image-size 8 --classes 10 --ratios 0.5 1 3" in str(raised.value)


def test_every_pair_of_a_residual_networks_widths_is_looked_for() -> None:
    resnet = NetworkSpec("resnet18", (1,) * 12, base_width=1 / 16, channels=3, size=32)
    whole = made_up(resnet, ratios=(1.0, 2.0))
    whole.check(resnet, (1.0, 2.0))
    for name, entries in whole.layers.items():
        for key in entries:
            rest = {other: value for other, value in entries.items() if other != key}
            with pytest.raises(UserError, match=f"no time of layer '{name}'"):
                replace(whole, layers={**whole.layers, name: rest}).check(resnet, (1.0, 2.0))
