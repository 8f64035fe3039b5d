"""Genomes as text, the paper's ratios, and which genes are allowed; and what a genome makes of a network's widths."""

import pytest

from pipeline.common.errors import UserError
from pipeline.networks.cost import layer_cost
from pipeline.networks.genome import RATIOS, check_ratios, format_genome, parse_genome
from pipeline.networks.spec import NetworkSpec, architecture, uniform_genome


def test_the_papers_ratios():
    assert RATIOS == (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize("genome", [(1.0,), (0.25, 10.0), (1 / 3, 100.5, 1e-7)])
def test_what_is_written_is_read_back(genome):
    assert parse_genome(format_genome(genome)) == genome


@pytest.mark.parametrize("text", ["", "1,", "1;2", "a", "1,0", "-1", "inf", "nan", "1,,2"])
def test_what_is_no_genome(text):
    with pytest.raises(UserError, match=f"'{text}' is no genome"):
        parse_genome(text)


def test_the_first_gene_that_is_not_allowed_is_named_counting_from_one():
    check_ratios((0.5, 1.0), (0.5, 1.0))
    with pytest.raises(UserError) as caught:
        check_ratios((0.5, 3.0, 7.0), (0.5, 1.0))
    assert str(caught.value) == "gene 2 of genome 0.5,3,7 is 3: allowed ratios are 0.5,1"


def test_widths_are_rounded_down_twice():
    """The base width first, then its multiple."""
    assert NetworkSpec("vgg_small", (1.0, 0.5, 0.25, 2.0, 3.0, 4.0), base_width=0.03).widths == (3, 1, 1, 14, 45, 60)


@pytest.mark.parametrize("genes", [5, 7])
def test_a_genome_of_another_length_is_refused(genes):
    with pytest.raises(UserError, match=f"has {genes} genes: VGG-small takes 6"):
        _ = NetworkSpec("vgg_small", (1.0,) * genes).widths


def test_a_layer_without_channels_is_named():
    assert min(NetworkSpec("vgg_small", (1.0,) * 6, base_width=1 / 128).widths) == 1
    with pytest.raises(UserError) as caught:
        _ = NetworkSpec("vgg_small", (1, 1, 0.25, 1, 1, 1), base_width=1 / 100).widths
    assert str(caught.value).startswith(
        "conv3 of VGG-small would have no channels (256 × base width 0.01 × ratio 0.25)"
    )


def test_titles_and_uniform_genomes():
    assert uniform_genome("vgg_small", 2) == (2.0,) * 6
    assert NetworkSpec("vgg_small", (2.0,) * 6).title == "binary VGG-small 2,2,2,2,2,2"
    assert NetworkSpec("vgg_small", (2.0,) * 6, binary=False).title == "full-precision VGG-small 2,2,2,2,2,2"


def test_a_spec_is_the_published_network_unless_told_otherwise():
    spec = NetworkSpec("vgg_small", (1.0,) * 6)
    assert (spec.base_width, spec.channels, spec.size, spec.classes, spec.binary) == (1.0, 3, 32, 10, True)
    assert spec.with_genome((2.0,) * 6).at_width(0.5) == NetworkSpec("vgg_small", (2.0,) * 6, base_width=0.5)


@pytest.mark.parametrize(("network", "digest"), [("vgg_small", "ff46ebb289f14d98"), ("resnet18", "420d671f432bd606")])
def test_the_digests_of_the_networks_layers(network, digest):
    """Every archived score is stored under it: another digest of the same layers would make all of them unknown."""
    assert architecture(network) == digest


@pytest.mark.parametrize("binary", [True, False])
def test_convolutions_and_the_classifier_have_multiplications_and_weights_and_nothing_else(binary):
    for layer in NetworkSpec("vgg_small", (1.0,) * 6, binary=binary).layers:
        cost = layer_cost(layer)
        if layer.kind in ("convolution", "linear"):
            macs = (0, layer.macs) if layer.binary else (layer.macs, 0)
            assert (cost.real_macs, cost.binary_macs, cost.other_operations) == (*macs, 0)
            assert cost.bits == layer.weights * (1 if layer.binary else 32)
        else:
            assert (cost.real_macs, cost.binary_macs, cost.bits) == (0, 0, 0) and cost.other_operations > 0
