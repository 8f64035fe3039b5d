"""Each claim of the paper stands beside what was measured of it, or the words that nothing was."""

import numpy as np

from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.claims import claims_held, why_not_alike
from pipeline.report.collect import collect_rows
from pipeline.report.published import TABLES
from pipeline.report.rows import Measurement, Row
from pipeline.report.tables import results_markdown

VGG_A = (0.5, 2.0, 1.0, 1.0, 1.0, 0.5)
IMAGES = 2000


def rows(a: tuple[float, ...], uniform: tuple[float, ...], **other: float) -> list[Row]:
    """VGG-Auto-A and uniform-1x, with these accuracies over seeds."""
    random = np.random.default_rng(0)

    def measured(model: str, genome: tuple[float, ...], tops: tuple[float, ...]) -> list[Measurement]:
        spec = NetworkSpec("vgg_small", genome, **{"base_width": 0.25, **other})
        right = [random.random(IMAGES) < top / 100 for top in tops]
        return [
            Measurement(model, seed, 100 * float(one.mean()), None, spec, one, IMAGES) for seed, one in enumerate(right)
        ]

    models = {"auto": VGG_A, "uniform": uniform_genome("vgg_small", 1)}
    found = [*measured("auto", models["auto"], a), *measured("uniform", models["uniform"], uniform)]
    return collect_rows(dict.fromkeys(models), found, "table1", cost_width=1)


def test_every_claim_names_printed_lines_and_agrees_with_them():
    for table in TABLES.values():
        printed = {line.model: line for line in table.rows}
        for claim in table.claims:
            ours, theirs = printed[claim.ours], printed[claim.theirs]
            if "beats" in claim.words or "wider" in claim.words:
                assert ours.top1 > theirs.top1
            if "less" in claim.words:
                assert ours.flops < theirs.flops


def test_a_claim_stands_beside_its_measurement():
    held = claims_held(rows((90, 91, 90.5, 91), (70, 71, 70.5, 71)), "table1")
    (auto,) = [one for one in held if one.rows is not None]
    assert auto.printed == "+1.93 points at 0.86 times the FLOPs"
    assert auto.measured.startswith("better by ") and auto.measured.endswith(" at 0.86 times the FLOPs; 4 seeds")
    assert {one.measured for one in held if one is not auto} == {"not trained here"}


def test_equal_networks_confirm_nothing():
    held = claims_held(rows((80, 80.5, 81), (80.5, 80, 81)), "table1")
    (auto,) = [one for one in held if one.rows is not None]
    assert "no difference seen" in auto.measured


def test_the_table_of_results_has_the_claims():
    text = results_markdown(rows((90, 91), (70, 71)), [], "table1")
    assert "a searched network beats Uniform-1x for less" in text and "not trained here" in text
    assert "the paper's claim" not in results_markdown(rows((90, 91), (70, 71)), [], None)


def test_what_does_not_compare_with_what_is_published_is_said():
    """A table of CIFAR-10 beside networks for other images, or narrower ones."""
    like = rows((90, 91), (70, 71), base_width=1.0)
    assert why_not_alike(like, "table1") == ""
    assert "those measured here of 0.25: they do not" in why_not_alike(rows((90, 91), (70, 71)), "table1")
    for other in ({"classes": 43}, {"size": 64}, {"channels": 1}):
        found = rows((90, 91), (70, 71), base_width=1.0, **other)
        said = (
            " The accuracies published are on CIFAR-10, those measured here on other images, or other sizes or classes"
        )
        assert why_not_alike(found, "table1") == f"{said} of them: they do not compare."
        assert said in " " + " ".join(results_markdown(found, [], "table1").split())
