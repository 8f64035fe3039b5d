"""What a score is worth: rank correlations against what cost alone says, with intervals and the noise's ceiling."""

import random

import pytest
from scipy.stats import kendalltau

from pipeline.report.proxy import PROXY, ProxyPoint, kendall_tau, partial_tau, proxy_sentences, proxy_table, proxy_worth


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
