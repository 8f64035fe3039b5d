"""The cost account against every counted figure of both published tables, at the precision in which it is printed."""

import cProfile
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from pipeline.common.errors import UserError
from pipeline.networks.architectures import ARCHITECTURES
from pipeline.networks.cost import layer_cost, network_cost, relative_flops, speedup
from pipeline.networks.spec import NetworkSpec, uniform_genome

IMAGES = {"vgg_small": {"size": 32, "classes": 10}, "resnet18": {"size": 224, "classes": 1000}}
VGG_A, VGG_B = (0.5, 2, 1, 1, 1, 0.5), (2, 2, 4, 2, 4, 0.5)
RES_A, RES_B = (2, 4, 2, 2, 2, 4, 4, 4, 4, 4, 4, 4), (3, 4, 4, 3, 1, 4, 4, 4, 3, 3, 3, 3)

# genome (or uniform ratio), binary, FLOPs / 10^6, speedup, bits / 10^6
TABLE_1 = {
    "Full-precision": (1, False, "608", "1.0", "149"),
    "Uniform-1x": (1, True, "13.2", "46.1", "7.3"),
    "Uniform-2x": (2, True, "45.3", "13.4", "23.7"),
    "Uniform-3x": (3, True, "96.2", "6.3", "49.3"),
    "Uniform-4x": (4, True, "166", "3.7", "84.1"),
    # Printed 53.6; the printed FLOPs, 608 / 11.3, would give 53.8.
    "VGG-Auto-A": (VGG_A, True, "11.3", "53.7", "5.1"),
    "VGG-Auto-B": (VGG_B, True, "59.3", "10.3", "23.4"),
}
# genome (or uniform ratio), binary, FLOPs / 10^6, speedup, FLOPs / 10^6 to one more digit
TABLE_2 = {
    "Full-precision": (1, False, "1820", "1.0", "1820.1"),
    "Uniform-1x": (1, True, "149", "12.2", "149.3"),
    "Uniform-2x": (2, True, "352", "5.2", "351.7"),
    "Uniform-3x": (3, True, "607", "3.0", "607.0"),
    "Uniform-4x": (4, True, "915", "2.0", "915.3"),
    "Res18-Auto-A": (RES_A, True, "495", "3.7", "495.1"),
    "Res18-Auto-B": (RES_B, True, "660", "2.8", "660.2"),
}


def spec_of(network, genome=1, binary=True):
    if not isinstance(genome, tuple):
        genome = uniform_genome(network, genome)
    return NetworkSpec(network, genome, binary=binary, **IMAGES[network])


def like(value, printed):
    """``value`` with as many decimals as ``printed``."""
    return f"{value:.{len(printed.partition('.')[2])}f}"


@pytest.mark.parametrize(("genome", "binary", "flops", "times", "bits"), TABLE_1.values(), ids=TABLE_1.keys())
def test_table_1(genome, binary, flops, times, bits):
    spec = spec_of("vgg_small", genome, binary)
    cost = network_cost(spec)
    assert like(cost.flops / 1e6, flops) == flops
    assert like(speedup(spec), times) == times
    assert like(cost.bits / 1e6, bits) == bits


@pytest.mark.parametrize(("genome", "binary", "flops", "times", "finer"), TABLE_2.values(), ids=TABLE_2.keys())
def test_table_2(genome, binary, flops, times, finer):
    spec = spec_of("resnet18", genome, binary)
    assert like(network_cost(spec).flops / 1e6, flops) == flops
    assert like(network_cost(spec).flops / 1e6, finer) == finer
    assert like(speedup(spec), times) == times


@pytest.mark.parametrize(("genome", "mebibytes"), [(RES_A, "15.22"), (RES_B, "19.54")])
def test_memory_of_the_published_resnets(genome, mebibytes):
    assert like(network_cost(spec_of("resnet18", genome)).bytes / 2**20, mebibytes) == mebibytes


def test_each_operation_of_the_smallest_published_network():
    cost = network_cost(spec_of("vgg_small"))
    assert (cost.real_macs, cost.binary_macs) == (3_538_944 + 81_920, 603_979_776)
    assert cost.flops == 3_538_944 + 131_072 + 81_920 + 603_979_776 / 64


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("network", ARCHITECTURES)
def test_the_layers_add_up_and_conventions_differ_by_other_operations_only(network, binary):
    spec = spec_of(network, binary=binary)
    cost = network_cost(spec)
    account = [layer_cost(layer) for layer in spec.layers]
    for field in ("real_macs", "binary_macs", "other_operations", "bits"):
        assert sum(getattr(line, field) for line in account) == getattr(cost, field)
    macs = cost.real_macs + cost.binary_macs / 64
    assert network_cost(spec, "macs").flops == macs
    assert network_cost(spec, "everything").flops == macs + cost.other_operations


def test_a_line_of_the_account_can_be_displayed():
    line = layer_cost(spec_of("resnet18").layers[0])
    assert (line.name, line.kind, line.shape) == ("stem_conv", "convolution", "3x224x224 -> 64x112x112")


@pytest.mark.parametrize("network", ARCHITECTURES)
def test_the_unit_of_the_fitness_is_the_uniform_1x_binary_network(network):
    unit = network_cost(spec_of(network)).flops
    for spec in (spec_of(network), spec_of(network, 3), spec_of(network, binary=False)):
        assert relative_flops(spec) == network_cost(spec).flops / unit


def test_unknown_convention():
    with pytest.raises(UserError, match="unknown counting convention 'table3': choose one of table1, table2, macs"):
        network_cost(spec_of("vgg_small"), "table3")


@pytest.mark.parametrize("network", ARCHITECTURES)
def test_a_genome_is_counted_in_some_steps_for_each_layer(network):
    """A search counts thousands. Calls of functions are counted, since seconds depend on what else the machine does."""
    spec, profile = spec_of(network, uniform_genome(network, 2)), cProfile.Profile()
    profile.runcall(network_cost, spec)
    calls = sum(entry.callcount for entry in profile.getstats())
    assert calls < 20 * len(spec.layers), calls / len(spec.layers)


def test_counting_needs_no_torch():
    code = "import sys, pipeline.networks.cost; sys.exit('torch' in sys.modules)"
    root = Path(pipeline.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
