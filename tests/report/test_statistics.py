"""What is said of differences: held to the error rate by simulation, and to scipy's own tests where they apply."""

from statistics import fmean

import numpy as np
import pytest
from scipy import stats

from pipeline.report.statistics import (
    Difference,
    Interval95,
    Sample,
    compare,
    holm_levels,
    independent_difference,
    mean_interval,
    seeds_to_tell,
)

IMAGES = 300


def trained(random, seeds, accuracy=0.8, spread=0.02, difficulty=None):
    """A made-up row: every seed has its own luck, and some images are hard for every training."""
    difficulty = random.uniform(-0.15, 0.15, IMAGES) if difficulty is None else difficulty
    right = tuple(random.random(IMAGES) < accuracy + random.normal(0, spread) + difficulty for _ in range(seeds))
    return Sample(tuple(100 * float(answers.mean()) for answers in right), right, IMAGES)


def share_found(seeds, gap=0.0, spreads=(0.02, 0.02), repeats=300, pairs=1):
    """The share of simulated tables in which a difference is claimed."""
    random = np.random.default_rng(seeds)
    found = 0
    for _ in range(repeats):
        difficulty = random.uniform(-0.15, 0.15, IMAGES)
        rows = [
            (
                trained(random, seeds, 0.8 + gap, spreads[0], difficulty),
                trained(random, seeds, 0.8, spreads[1], difficulty),
            )
            for _ in range(pairs)
        ]
        found += any(difference.seen for difference in compare(rows))
    return found / repeats


#: Two standard errors of a share of 5 % over 300 simulated tables: what chance may add to it.
LUCK = 2 * (0.05 * 0.95 / 300) ** 0.5


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize(("spreads", "pairs"), [((0.02, 0.02), 1), ((0.01, 0.04), 1), ((0.02, 0.02), 4)])
def test_equal_networks_are_told_apart_in_at_most_one_table_of_twenty(seeds, spreads, pairs):
    assert share_found(seeds, spreads=spreads, pairs=pairs) <= 0.05 + LUCK


def test_power_grows_with_seeds():
    powers = [share_found(seeds, gap=0.04, repeats=200) for seeds in (2, 3, 5, 10)]
    assert powers == sorted(powers)
    assert powers[-1] > 0.75 > 0.3 > powers[0]


def test_intervals_hold_the_true_difference():
    random = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        difficulty = random.uniform(-0.15, 0.15, IMAGES)
        (found,) = compare(
            [(trained(random, 3, 0.75, difficulty=difficulty), trained(random, 3, 0.70, difficulty=difficulty))]
        )
        inside += found.low <= 5 <= found.high
    assert inside / 400 >= 0.93


def test_over_seeds_alone_it_is_welchs_test():
    mine, theirs = (92.0, 93.5, 94.1), (90.0, 91.8, 90.7, 91.1)
    (found,) = compare([(Sample(mine), Sample(theirs))])
    welch = stats.ttest_ind(mine, theirs, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert found.p == pytest.approx(welch.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def answers(right):
    return Sample((100 * float(np.mean(right)),), (np.asarray(right, dtype=bool),), len(right))


def test_one_training_each_is_mcnemars_test_and_the_paired_bootstrap():
    random = np.random.default_rng(3)
    common = random.random(900) < 0.8
    mine, theirs = common | (random.random(900) < 0.20), common | (random.random(900) < 0.05)
    (found,) = compare([(answers(mine), answers(theirs))])
    only_mine, only_theirs = int((mine & ~theirs).sum()), int((theirs & ~mine).sum())
    exact = stats.binomtest(only_mine, only_mine + only_theirs).pvalue
    assert found.p == pytest.approx(exact, abs=0.01)
    bootstrap = stats.bootstrap(
        (100.0 * mine, 100.0 * theirs),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=2000,
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((bootstrap.low, bootstrap.high), abs=0.35)


def test_one_training_each_never_says_which_network_is_better():
    (found,) = compare([(answers([1] * 95 + [0] * 5), answers([1] * 60 + [0] * 40))])
    assert found.low > 0 and not found.seen
    assert str(found).startswith("35.0 points above in these trainings (")
    assert "what another seed would give is not known" in str(found)


def test_identical_answers_leave_an_interval():
    right = [1] * 90 + [0] * 10
    (found,) = compare([(answers(right), answers(right))])
    assert found.points == 0 and found.low < -1 and found.high > 1


def test_without_answers_the_images_count_as_drawn_twice():
    random = np.random.default_rng(0)
    difficulty = random.uniform(-0.15, 0.15, IMAGES)
    mine, theirs = (trained(random, 3, difficulty=difficulty) for _ in range(2))
    (paired,) = compare([(mine, theirs)])
    (older,) = compare([(Sample(mine.top1, (), IMAGES), Sample(theirs.top1, (), IMAGES))])
    assert older.points == paired.points
    assert older.high - older.low > paired.high - paired.low


def test_accuracies_that_happen_to_agree_over_seeds_are_no_certainty():
    (found,) = compare([(Sample((90.0, 90.0), (), 100), Sample((91.0, 91.0), (), 100))])
    assert not found.seen


def test_no_interval_reaches_beyond_what_accuracies_can_differ():
    (found,) = compare([(Sample((60.0, 90.0), (), 100), Sample((50.0, 50.1), (), 100))])
    assert str(found) == "no difference seen (−100.0 to 100.0 points)"
    worse = compare([(Sample((0.0,), (), 9), Sample((100.0,), (), 9))])[0]
    assert str(worse).startswith("100.0 points below in these trainings (−100.0 to −")


@pytest.mark.parametrize("seed", range(20))
def test_holm_agrees_with_its_textbook_form_and_with_the_intervals(seed):
    random = np.random.default_rng(seed)
    p = list(random.random(5) ** 3)
    ordered = sorted(p)
    adjusted = np.maximum.accumulate([min(1.0, (5 - i) * value) for i, value in enumerate(ordered)])
    textbook = {value: bool(corrected <= 0.05) for value, corrected in zip(ordered, adjusted, strict=True)}
    assert [value <= level for value, level in zip(p, holm_levels(p), strict=True)] == [textbook[value] for value in p]


def test_intervals_leave_out_zero_where_holm_says_so():
    random = np.random.default_rng(1)
    pairs = [(trained(random, 6, 0.8 + 0.04 * i), trained(random, 6, 0.8)) for i in range(-2, 3)]
    found = compare(pairs)
    levels = holm_levels([difference.p for difference in found])
    assert [difference.seen for difference in found] == [d.p <= level for d, level in zip(found, levels, strict=True)]
    assert any(difference.seen for difference in found) and not all(difference.seen for difference in found)


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (Difference(1.8, 0.4, 3.2, 0.01, "trainings"), "better by 1.8 points (0.4 to 3.2)"),
        (Difference(-1.8, -3.2, -0.4, 0.01, "trainings"), "worse by 1.8 points (0.4 to 3.2)"),
        (Difference(0.4, -1.1, 1.9, 0.4, "trainings"), "no difference seen (−1.1 to 1.9 points)"),
        (Difference(0.0, -0.04, 0.04, 1.0, "trainings"), "no difference seen (0.0 to 0.0 points)"),
        (Difference(1.0, 0.0, 2.0, 0.05, "trainings"), "no difference seen (0.0 to 2.0 points)"),
        (Difference(-1.0, -2.0, 0.0, 0.05, "trainings"), "no difference seen (−2.0 to 0.0 points)"),
        (Difference(0.0, -1.0, 1.0, 1.0, "images"), "0.0 points above in these trainings (−1.0 to 1.0 over test "),
        (Difference(-2.0, -3.0, -1.0, 0.0, "images"), "2.0 points below in these trainings (−3.0 to −1.0 over test "),
    ],
)
def test_words(difference, words):
    assert str(difference).startswith(words)
    assert difference.seen is words.startswith(("better", "worse"))


def test_an_interval_in_words():
    assert str(Interval95(-0.5, -1.0, 0.25)) == "−0.50 (−1.00 to 0.25)"


def two_sided(t, freedom):
    return pytest.approx(2 * stats.t.sf(t, freedom))


def row_of(*answers):
    right = tuple(np.array(one, dtype=bool) for one in answers)
    return Sample(tuple(100 * float(one.mean()) for one in right), right, len(answers[0]))


def test_the_variance_over_images_by_hand():
    """Differences of 0, 100, 0 and 50 points by image: variance 6875/3, of which the second row's seeds own 625."""
    mine, theirs = row_of([1, 1, 0, 1], [1, 1, 0, 1]), row_of([1, 0, 0, 0], [1, 0, 0, 1])
    images, seeds = (4 * (6875 / 3 - 625) + 100**2) / 6**2, 312.5 / 2
    (found,) = compare([(mine, theirs)])
    assert found.points == 37.5 and found.p == two_sided(37.5 / (images + seeds) ** 0.5, 1)
    assert found.high - found.points == pytest.approx(stats.t.isf(0.025, 1) * (images + seeds) ** 0.5)
    # What the seeds own can be all of it.
    (found,) = compare([(row_of([1, 0, 1, 0], [0, 1, 0, 1]), row_of([1, 0, 0, 0], [0, 1, 1, 0]))])
    assert found.points == 12.5 and found.p == two_sided(12.5 / ((100 / 6) ** 2 + 312.5 / 2) ** 0.5, 1)


@pytest.mark.parametrize(
    ("mine", "theirs", "points", "variance", "freedom"),
    [
        (row_of([1, 1, 0]), row_of([1, 0, 0]), 100 / 3, 800, 2),  # (3 · 3333.3 + 100²) / 5²
        (row_of([1, 1, 1, 0]), row_of([1, 0, 0, 0]), 50, (4 * 100**2 / 3 + 100**2) / 6**2, 3),
        (row_of([1]), row_of([0]), 100, 100**2 / 9, 1),
        (row_of([1, 1]), row_of([1, 0]), 50, (2 * 5000 + 100**2) / 16, 1),
        (Sample((80.0,), (), 50), Sample((70.0,), (), 200), 10, (80 * 20 + 70 * 30 + 2 * 200) / 50, 49),
        (Sample((80.0,), (), 1), Sample((70.0,), (), 1), 10, 80 * 20 + 70 * 30 + 2 * 100**2, 1),
        (Sample((80.0, 80.0), (), 50), Sample((70.0,), (), 50), 10, (80 * 20 + 70 * 30 + 2 * 200) / 50, 49),
        (row_of([1, 1, 0]), Sample((50.0,), (), 3), 50 / 3, (200 / 9 * 100 + 50 * 50 + 2 * 100**2 / 3) / 3, 2),
    ],
)
def test_one_training_by_hand(mine, theirs, points, variance, freedom):
    (found,) = compare([(mine, theirs)])
    assert found.scope == "images" and found.points == pytest.approx(points)
    assert found.p == two_sided(points / variance**0.5, freedom)
    assert found.high - found.points == pytest.approx(stats.t.isf(0.025, freedom) * variance**0.5)


def test_without_any_spread_a_difference_is_certain():
    (none,) = compare([(Sample((90.0, 90.0, 90.0)), Sample((90.0, 90.0)))])
    (some,) = compare([(Sample((90.0, 90.0, 90.0)), Sample((91.0, 91.0)))])
    assert none == (0, 0, 0, 1, "trainings") and some == (-1, -1, -1, 0, "trainings")
    # With images, whose part leaves the seeds' least degrees of freedom.
    (found,) = compare([(Sample((90.0, 90.0, 90.0), (), 100), Sample((95.0, 95.0), (), 100))])
    assert found.p == two_sided(5 / (9 + 4.75 + 2) ** 0.5, 1)


def test_a_test_at_its_level_is_significant():
    assert holm_levels([0.025, 0.04]) == [0.025, 0.05] and holm_levels([]) == []


def test_textbook_numbers_of_seeds():
    """For differences of 2, 1 and ½ standard deviations: 6, 17 and 64 of each, for a power of 0.9 and one 23."""
    rows = Sample((90.0, 92.0)), Sample((91.0, 93.0))  # both of variance 2
    assert [seeds_to_tell(*rows, 2**0.5 * by) for by in (2, 1, 0.5)] == [6, 17, 64]
    assert seeds_to_tell(*rows, 2**0.5, power=0.9) == 23
    assert (seeds_to_tell(*rows, 2**0.5, most=17), seeds_to_tell(*rows, 2**0.5, most=16)) == (17, None)
    assert seeds_to_tell(*rows, 100) == seeds_to_tell(Sample((90.0, 90.0)), Sample((90.0, 90.0)), 1) == 2
    assert seeds_to_tell(rows[0], Sample((90.0,)), 5) is None


def test_means_and_differences_have_students_and_welchs_intervals():
    mine, theirs = [80.0, 82.0, 81.0], [78.0, 79.0, 78.5, 80.0]
    assert mean_interval(theirs) == pytest.approx(
        (np.mean(theirs), *stats.t.interval(0.95, 3, np.mean(theirs), stats.sem(theirs)))
    )
    welch = stats.ttest_ind(mine, theirs, equal_var=False).confidence_interval(0.95)
    assert independent_difference(mine, theirs) == pytest.approx((2.125, welch.low, welch.high))
    assert independent_difference(mine[:2], theirs[:2]) is not None and independent_difference(theirs, [80.0]) is None


def test_more_seeds_are_needed_for_smaller_differences():
    random = np.random.default_rng(0)
    mine, theirs = trained(random, 5), trained(random, 5)
    few, many = seeds_to_tell(mine, theirs, 6.0), seeds_to_tell(mine, theirs, 4.0)
    assert few is not None and many is not None and 2 <= few < many
    assert seeds_to_tell(mine, theirs, 0.1) is None, "no number of seeds makes up for few images"
    assert seeds_to_tell(answers([1, 0]), answers([1, 1]), 1.0) is None


def test_seeds_to_tell_would_indeed_tell():
    random = np.random.default_rng(5)
    needed = seeds_to_tell(trained(random, 30), trained(random, 30), 4.0)
    assert needed is not None
    assert 0.65 < share_found(needed, gap=0.04, repeats=200) < 0.98


def test_difference_of_independent_searches():
    found = independent_difference([80.0, 82.0, 81.0], [78.0, 79.0, 78.5])
    assert found is not None and found.value == pytest.approx(fmean([80, 82, 81]) - fmean([78, 79, 78.5]))
    assert found.low < found.value < found.high
    assert independent_difference([80.0], [78.0, 79.0]) is None
