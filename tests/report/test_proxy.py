"""What a score is worth: rank correlations against what cost alone says, with intervals and the noise's ceiling."""

import random

import numpy as np
import pytest
from scipy.stats import kendalltau

from pipeline.report.proxy import (
    PROXY,
    ProxyPoint,
    kendall_tau,
    partial_tau,
    proxy_sentences,
    proxy_table,
    proxy_worth,
    tau_intervals,
)
from pipeline.report.statistics import Interval95


def sample(count=40, seed=0, by_cost=0.0, noise=1.0, trainings=2, scores=2):
    """Genomes whose accuracy is a quality of their own plus what cost adds, and whose scores see it through noise."""
    draw = random.Random(seed)
    points = []
    for number in range(count):
        cost = draw.uniform(0.2, 10)
        true = 80 + (1 - by_cost) * draw.gauss(0, 3) + by_cost * 3 * cost
        points.append(
            ProxyPoint(
                (float(number),),
                cost,
                tuple(true - 10 + draw.gauss(0, noise) for _ in range(scores)),
                tuple(true + draw.gauss(0, noise) for _ in range(trainings)),
            )
        )
    return points


def test_a_score_that_tells_is_told_from_cost():
    worth = proxy_worth(sample())
    assert worth.score.low > 0.4
    assert abs(worth.cost.value) < 0.3
    assert worth.partial.low > 0.4
    assert worth.scores.value > 0.6 and worth.trainings.value > 0.6
    assert "The score says something that cost does not" in " ".join(proxy_sentences(sample()))


def test_a_score_that_sees_cost_alone_tells_nothing_beyond_it():
    points = sample(by_cost=1.0, noise=0.5)
    worth = proxy_worth(points)
    assert worth.score.value > 0.9 and worth.cost.value > 0.9
    assert worth.partial.low < 0 < worth.partial.high
    assert "tells anything beyond cost is not seen" in " ".join(proxy_sentences(points))


def test_noise_sets_the_ceiling():
    quiet, loud = (proxy_worth(sample(noise=noise)) for noise in (0.3, 6.0))
    assert loud.scores.value < quiet.scores.value
    assert loud.score.value < quiet.score.value


def test_the_interval_holds_the_true_correlation():
    truth = kendall_tau(*zip(*((p.scores[0], sum(p.trained) / 2) for p in sample(2000)), strict=True))
    inside = [proxy_worth(sample(25, seed)).score for seed in range(12)]
    assert sum(one.low <= truth <= one.high for one in inside) >= 9


def test_tau_is_scipys():
    first, second = [80, 80, 82, 85], [90, 91, 92, 91]
    assert kendall_tau(first, second) == pytest.approx(kendalltau(first, second).statistic)
    assert kendall_tau([1, 1, 1], [1, 2, 3]) == 0


def test_partial_tau_by_hand():
    draw = random.Random(0)
    first, second, given = ([draw.random() for _ in range(30)] for _ in range(3))
    a, b, c = kendall_tau(first, second), kendall_tau(first, given), kendall_tau(second, given)
    assert partial_tau(first, second, given) == pytest.approx((a - b * c) / ((1 - b**2) * (1 - c**2)) ** 0.5)
    assert partial_tau(first, second, first) == 0, "all of it is what the third says"


@pytest.mark.parametrize(("count", "words"), [(0, "no genome was"), (1, "one genome was"), (4, "4 genomes were")])
def test_too_small_a_sample_is_said(count, words):
    assert words in proxy_sentences(sample(40)[:count])[0]
    assert proxy_worth(sample(40)[:count]) is None


def test_one_score_and_one_training_have_no_ceiling():
    points = sample(trainings=1, scores=1)
    assert proxy_worth(points)[3:] == (None, None)
    assert not any("ceiling" in sentence for sentence in proxy_sentences(points))


def test_table():
    (line, *_) = proxy_table([ProxyPoint((1.0, 0.5), 0.75, (71.25, 72.0), (90.0, 91.0))])
    assert tuple(line) == PROXY
    assert list(line.values()) == ["1,0.5", 0.75, 71.25, "71.2500 72.0000", 90.5, "90.0000 91.0000"]


# --- in full, on five genomes ---

#: In order of their first scores; of their second ones the first two and the last two stand the other way round.
FIVE = [
    ProxyPoint((1.0, float(number)), cost, scores, trained)
    for number, cost, scores, trained in (
        (1, 3.0, (61.0, 62.0), (81.0, 71.0, 99.0)),
        (2, 1.0, (62.0, 61.0), (82.0, 72.0, 0.0)),
        (3, 2.0, (63.0, 63.0), (83.0, 79.0, 0.0)),
        (4, 5.0, (65.0, 64.0), (84.0, 75.0, 0.0)),
        (5, 4.0, (64.0, 65.0), (85.0, 78.0, 0.0)),
    )
]
MEANS = [sum(point.trained) / 3 for point in FIVE]


@pytest.fixture
def few(monkeypatch):
    """Intervals of few resamples, where they are not what is looked at."""
    monkeypatch.setattr("pipeline.report.proxy.RESAMPLES", 30)


def test_what_is_compared_with_what(few):
    worth = proxy_worth(FIVE)
    firsts, costs = [point.scores[0] for point in FIVE], [point.cost for point in FIVE]
    assert worth.score.value == pytest.approx(kendalltau(firsts, MEANS).statistic)
    assert worth.cost.value == pytest.approx(kendalltau(costs, MEANS).statistic)
    assert worth.partial.value == pytest.approx(partial_tau(firsts, MEANS, costs))
    # Of ten pairs two stand the other way round: the first two genomes, and the last two.
    assert worth.scores.value == pytest.approx((8 - 2) / 10)
    assert worth.trainings.value == pytest.approx((8 - 2) / 10)
    assert len({round(tau.value, 6) for tau in worth[:4]}) == 4, "or they could stand for each other"


def test_a_genome_that_was_scored_or_trained_once_leaves_no_ceiling(few):
    odd = FIVE[0]._replace(scores=(61.0,))
    assert proxy_worth([odd, *FIVE[1:]]).scores is None and proxy_worth([odd, *FIVE[1:]]).trainings is not None
    odd = FIVE[4]._replace(trained=(61.0,))
    assert proxy_worth([*FIVE[:4], odd]).trainings is None and proxy_worth([*FIVE[:4], odd]).scores is not None


def test_the_interval_is_that_of_a_thousand_resamples():
    points, draw = sample(12), np.random.default_rng(0)
    firsts, costs = [point.scores[0] for point in points], [point.cost for point in points]
    means = [sum(point.trained) / 2 for point in points]
    chosen = [draw.integers(0, 12, 12) for _ in range(1000)]
    both = tau_intervals(firsts, means, costs)
    for one, found in ((firsts, both[0]), (costs, tau_intervals(costs, means, firsts)[0])):
        values = [kendall_tau([one[i] for i in some], [means[i] for i in some]) for some in chosen]
        assert (found.low, found.high) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])), rel=1e-9)
    worth = proxy_worth(points)
    assert both == (worth.score, worth.partial)


def test_fewer_than_five_genomes_are_worth_no_number(few):
    assert proxy_worth(FIVE) is not None and proxy_worth(FIVE[:4]) is None


def test_sentences_in_full(few):
    score, cost, partial, scores, trainings = proxy_worth(FIVE)
    assert proxy_sentences(FIVE) == [
        f"Over 5 random genomes, spread over cost, Kendall's tau-b between one score as a candidate and the accuracy "
        f"when trained in full is {score}. Cost alone reaches {cost}; what the score says beyond it, the partial tau "
        f"given cost, is {partial}.",
        "That the score tells anything beyond cost is not seen: the interval of the partial tau holds 0.",
        f"The noise sets a ceiling: two scores of the same genomes agree by {scores}; two trainings in full of the "
        f"same genomes agree by {trainings}.",
        "Intervals are 95 %, by bootstrap over genomes.",
    ]


def test_an_interval_that_ends_at_0_holds_it(few, monkeypatch):
    worth = proxy_worth(FIVE)
    for low, said in ((0.0, "is not seen"), (0.01, "lies above 0")):
        found = worth._replace(partial=Interval95(0.5, low, 0.9))
        monkeypatch.setattr("pipeline.report.proxy.proxy_worth", lambda points, found=found: found)
        assert said in proxy_sentences(FIVE)[1]


@pytest.mark.parametrize("as_cost", ["scores", "accuracies"])
def test_a_sample_that_is_ranked_exactly_by_cost_says_nothing_beyond_it(as_cost):
    jumbled, costs = (3.0, 1.0, 2.0, 5.0, 4.0), (1.0, 2.0, 3.0, 4.0, 5.0)
    scores, accuracies = (costs, jumbled) if as_cost == "scores" else (jumbled, costs)
    rows = zip(costs, scores, accuracies, strict=True)
    points = [ProxyPoint((cost,) * 6, cost, (score,), (accuracy,)) for cost, score, accuracy in rows]
    assert proxy_worth(points).partial is None
    tau = kendall_tau(scores, accuracies)
    first, second, _ = proxy_sentences(points)
    assert f"is {tau:.2f} (" in first and "partial" not in first
    assert second.startswith("What the score says beyond cost cannot be seen on this sample")
    points[0] = points[0]._replace(scores=(2.5,), trained=(2.5,))
    assert proxy_worth(points).partial is not None


@pytest.mark.parametrize(
    ("same", "said"),
    [
        ({"scores": (10.0, 11.0)}, "have the same score, 10.00 %."),
        ({"trained": (99.0, 100.0, 99.5)}, "have the same accuracy when trained in full, 99.50 %."),
    ],
)
def test_equal_values_are_no_correlation_of_nought(same, said):
    """All candidates at chance, say: then nothing is ranked, and an interval from 0 to 0 would be precise nonsense."""
    points = [point._replace(**same) for point in FIVE]
    assert proxy_worth(points) is None
    (only,) = proxy_sentences(points)
    assert only == f"What a score is worth cannot be seen: all 5 sampled genomes {said}"


def test_a_second_score_that_ranks_nothing_is_no_ceiling(few):
    points = [point._replace(scores=(point.scores[0], 10.0)) for point in FIVE]
    assert proxy_worth(points).scores is None and proxy_worth(points).trainings is not None
    assert "two scores" not in " ".join(proxy_sentences(points))


def test_the_reverse_of_costs_says_nothing_beyond_them_either(few):
    points = [point._replace(cost=-point.scores[0]) for point in FIVE]
    assert proxy_worth(points).partial is None


def test_rankings_without_an_order():
    assert kendall_tau([1, 2, 3], [1, 1, 1]) == 0
    # What the third ranking explains wholly leaves nothing, on either side.
    assert partial_tau([1, 2, 3], [1, 3, 2], [1, 3, 2]) == 0 == partial_tau([1, 3, 2], [1, 2, 3], [2, 3, 1][::-1])


def test_cells_of_the_table_are_rounded():
    point = ProxyPoint((0.5,), 0.123456789, (71.23456, 60.0), (90.00004, 90.00005))
    assert list(proxy_table([point])[0].values()) == [
        "0.5", 0.123457, 71.2346, "71.2346 60.0000", 90.0, "90.0000 90.0001"
    ]  # fmt: skip
    assert list(proxy_table([point], "memory")[0]) == [column.replace("flops", "memory") for column in PROXY]


def test_genomes_with_as_many_right_answers_in_full_are_equals():
    """Of 18 images 5 and 7, or 6 and 6 in each training."""
    trained = [(27.7778, 38.8889), (33.3333, 33.3333)] * 3
    points = [ProxyPoint((float(i),), float(i), (float(i),), one) for i, one in enumerate(trained)]
    assert proxy_worth(points) is None
    assert "have the same accuracy when trained in full, 33.33 %" in proxy_sentences(points)[0]
