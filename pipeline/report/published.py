"""Figures that others have published: Tables 1 and 2 of the paper, and the results that are shown beside them.

Nothing here was measured by this software, and nothing measured by it depends on anything here.

>>> row = find_published("table1", "vgg_small", (0.5, 2.0, 1.0, 1.0, 1.0, 0.5), binary=True)
>>> row.model, row.top1
('VGG-Auto-A', 92.17)
"""

from dataclasses import dataclass

from pipeline.common.errors import UserError
from pipeline.networks.genome import Genome
from pipeline.networks.spec import uniform_genome

PAPER = "Shen et al., Searching for Accurate Binary Neural Architectures, ICCV Workshops 2019"


@dataclass(frozen=True)
class PublishedRow:
    """One printed line of a table of the paper.

    Attributes:
        model: as printed.
        network: its name in this package; None for another method, which the paper quotes.
        genome: None for another method.
        binary: False for the full-precision network.
        flops: 10^6 operations for one image.
        speedup: in theory, over the full-precision network; None where the table has a dash.
        memory: 10^6 bits of weights; None where it is not printed.
        top1, top5: accuracy in percent; top5 None where it is not printed.
        source: who printed it where.
    """

    model: str
    network: str | None
    genome: Genome | None
    binary: bool
    flops: float
    speedup: float | None
    memory: float | None
    top1: float
    top5: float | None
    source: str

    @property
    def quoted(self) -> bool:
        """Returns whether the paper quotes another method here, so that no genome of ours can match the row."""
        return self.genome is None


@dataclass(frozen=True)
class Claim:
    """A conclusion of the paper from two lines of a table: that ``ours`` is the better one, given its cost."""

    words: str
    ours: str
    theirs: str


@dataclass(frozen=True)
class PublishedTable:
    """A table of the paper: what it is about, its lines in printed order, and what the paper concludes from them."""

    title: str
    network: str
    dataset: str
    rows: tuple[PublishedRow, ...]
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class PublishedAccuracy:
    """Another method's accuracy. ``flops`` in 10^6 operations, None where it is not known; ``top1`` in percent."""

    method: str
    network: str
    dataset: str
    top1: float
    source: str
    flops: float | None = None


def _table1(
    model: str, genome: float | Genome, flops: float, speedup: float | None, memory: float, top1: float
) -> PublishedRow:
    genome = genome if isinstance(genome, tuple) else uniform_genome("vgg_small", genome)
    binary = speedup is not None
    return PublishedRow(model, "vgg_small", genome, binary, flops, speedup, memory, top1, None, f"{PAPER}, Table 1")


def _table2(
    model: str, genome: float | Genome | None, flops: float, speedup: float | None, top1: float, top5: float
) -> PublishedRow:
    network = None if genome is None else "resnet18"
    if genome is not None and not isinstance(genome, tuple):
        genome = uniform_genome("resnet18", genome)
    return PublishedRow(
        model, network, genome, speedup is not None, flops, speedup, None, top1, top5, f"{PAPER}, Table 2"
    )


TABLES: dict[str, PublishedTable] = {
    "table1": PublishedTable(
        "Table 1",
        "vgg_small",
        "CIFAR-10",
        (
            _table1("Full-precision", 1, 608, None, 149, 93.48),
            _table1("Uniform-1x", 1, 13.2, 46.1, 7.3, 90.24),
            _table1("Uniform-2x", 2, 45.3, 13.4, 23.7, 91.65),
            _table1("Uniform-3x", 3, 96.2, 6.3, 49.3, 91.87),
            _table1("Uniform-4x", 4, 166, 3.7, 84.1, 92.56),
            _table1("VGG-Auto-A", (0.5, 2.0, 1.0, 1.0, 1.0, 0.5), 11.3, 53.6, 5.1, 92.17),
            _table1("VGG-Auto-B", (2.0, 2.0, 4.0, 2.0, 4.0, 0.5), 59.3, 10.3, 23.4, 93.06),
        ),
        (
            Claim("wider is more accurate", "Uniform-2x", "Uniform-1x"),
            Claim("wider is more accurate", "Uniform-3x", "Uniform-2x"),
            Claim("wider is more accurate", "Uniform-4x", "Uniform-3x"),
            Claim("a searched network beats Uniform-1x for less", "VGG-Auto-A", "Uniform-1x"),
            Claim("a searched network beats Uniform-4x for less", "VGG-Auto-B", "Uniform-4x"),
            Claim("a searched network comes close to full precision", "VGG-Auto-B", "Full-precision"),
        ),
    ),
    "table2": PublishedTable(
        "Table 2",
        "resnet18",
        "ImageNet",
        (
            _table2("Full-precision", 1, 1820, None, 69.6, 89.2),
            _table2("PCNN", None, 169, 10.8, 57.3, 80.0),
            _table2("ABC {5/3}", None, 520, 3.5, 62.5, 84.2),
            # Printed as {5/3} a second time; its accuracy is that of five bases for weights and activations.
            _table2("ABC {5/5}", None, 785, 2.3, 65.0, 85.9),
            _table2("Uniform-1x", 1, 149, 12.2, 52.77, 76.85),
            _table2("Uniform-2x", 2, 352, 5.2, 64.0, 85.45),
            _table2("Uniform-3x", 3, 607, 3.0, 68.51, 88.25),
            _table2("Uniform-4x", 4, 915, 2.0, 70.35, 89.27),
            _table2("Res18-Auto-A", (2.0, 4.0, 2.0, 2.0, 2.0, *(4.0,) * 7), 495, 3.7, 68.64, 88.46),
            _table2(
                "Res18-Auto-B", (3.0, 4.0, 4.0, 3.0, 1.0, 4.0, 4.0, 4.0, 3.0, 3.0, 3.0, 3.0), 660, 2.8, 69.65, 89.08
            ),
        ),
        (
            Claim("wider is more accurate", "Uniform-2x", "Uniform-1x"),
            Claim("wider is more accurate", "Uniform-3x", "Uniform-2x"),
            Claim("wider is more accurate", "Uniform-4x", "Uniform-3x"),
            Claim("four times as wide, binary beats full precision", "Uniform-4x", "Full-precision"),
            Claim("a searched network equals Uniform-3x for less", "Res18-Auto-A", "Uniform-3x"),
            Claim("a searched network beats Uniform-3x at similar cost", "Res18-Auto-B", "Uniform-3x"),
            Claim("a searched network equals full precision", "Res18-Auto-B", "Full-precision"),
        ),
    ),
}

#: The other methods in Figure 1, binary ResNet-18 on ImageNet. The figure prints no values; these are the methods' own.
FIGURE_1 = (
    PublishedAccuracy("XNOR-Net", "resnet18", "ImageNet", 51.2, "Rastegari et al., ECCV 2016"),
    PublishedAccuracy("Bi-Real-Net", "resnet18", "ImageNet", 56.4, "Liu et al., ECCV 2018"),
    PublishedAccuracy("PCNN", "resnet18", "ImageNet", 57.3, "Gu et al., AAAI 2019"),
    PublishedAccuracy("ABC-Net (5 bases)", "resnet18", "ImageNet", 65.0, "Lin et al., NeurIPS 2017"),
)

#: What has been reached since, by other training methods or in other search spaces. Context, not a baseline.
LATER = (
    PublishedAccuracy("ReCU", "VGG-small 1x", "CIFAR-10", 92.2, "Xu et al., ICCV 2021"),
    PublishedAccuracy("AdaBin", "VGG-small 1x", "CIFAR-10", 92.3, "Tu et al., ECCV 2022"),
    PublishedAccuracy("BiPer", "VGG-small 1x", "CIFAR-10", 92.5, "Vargas et al., CVPR 2024"),
    PublishedAccuracy("ReCU, finetuned", "VGG-small 1x", "CIFAR-10", 93.3, "Xu et al., ICCV 2021"),
    PublishedAccuracy("ReActNet", "ResNet-18 1x", "ImageNet", 65.9, "Liu et al., ECCV 2020"),
    PublishedAccuracy("AdaBin, two-step", "ResNet-18 1x", "ImageNet", 66.4, "Tu et al., ECCV 2022"),
    PublishedAccuracy("ReCU, two-stage", "ResNet-18 1x", "ImageNet", 66.4, "Xu et al., ICCV 2021"),
    PublishedAccuracy("DyBNN", "ResNet-18 1x", "ImageNet", 67.4, "Zhang et al., ICASSP 2022"),
    PublishedAccuracy("NAS-BNN", "searched", "ImageNet", 68.2, "Lin et al., arXiv 2408.15484", flops=57),
    PublishedAccuracy("BNext-T", "BNext", "ImageNet", 72.4, "Guo et al., arXiv 2211.12933"),
    # The only published attempt to train a network of the paper anew.
    PublishedAccuracy(
        "VGG-Auto-A, trained by an outsider", "VGG-small", "CIFAR-10", 90.53, "LaVieEnRoseSMZ/AutoBNN, issue 1", 11.3
    ),
)


def find_table(name: str) -> PublishedTable:
    """Returns the table ``table1`` or ``table2``.

    Raises:
        UserError: there is no table of that name.
    """
    if name not in TABLES:
        raise UserError(f"unknown published table '{name}'", f"choose one of {', '.join(TABLES)}")
    return TABLES[name]


def find_published(table: str, network: str, genome: Genome, *, binary: bool) -> PublishedRow | None:
    """Returns the line of a table that has this genome; None where it has none.

    Raises:
        UserError: there is no table of that name.
    """
    wanted = (network, genome, binary)
    return next((row for row in find_table(table).rows if (row.network, row.genome, row.binary) == wanted), None)
