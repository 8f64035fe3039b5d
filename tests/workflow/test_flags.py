"""What rules depend on: a part whose source has changed reruns just what is made of it."""

import pytest

from pipeline.data.datasets import DATASETS
from pipeline.networks.architectures import ARCHITECTURES
from pipeline.networks.binary.binarisers import BINARISERS
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.objectives import OBJECTIVES
from pipeline.workflow.config import read_config
from pipeline.workflow.rules import Flags
from pipeline.workflow.schema import ROOT


def depends() -> dict[str, object]:
    """What the parameters of the default experiment's rules say of the method."""
    flags = Flags(read_config([ROOT / "config.yaml"], {"inference": {"measure": False}}))
    return {
        "prepare": flags.dataset_source(),
        "train": flags.training_method,
        "count": flags.counting_method,
        "propose by evolution": flags.proposal_method("A"),
        "propose at random": flags.proposal_method("random"),
        "score": flags.objective_identity("A"),
    }


@pytest.mark.parametrize(
    ("registry", "name", "again"),
    [
        (DATASETS, "digits", {"prepare"}),
        (BINARISERS, "dorefa", {"train"}),
        (ARCHITECTURES, "vgg_small", {"count", "propose by evolution", "propose at random"}),
        (ALGORITHMS, "evolution", {"propose by evolution"}),
        (ALGORITHMS, "random", {"propose at random"}),
        (OBJECTIVES, "fitness", {"score", "propose by evolution"}),
        (OBJECTIVES, "another", set()),
    ],
)
def test_a_changed_part_reruns_what_is_made_of_it(monkeypatch, registry, name, again):
    before = depends()
    monkeypatch.setattr(registry, "founding", {**registry.founding, name: "another source"})
    after = depends()
    assert {what for what in before if before[what] != after[what]} == again
