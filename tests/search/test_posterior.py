"""The model of candidates' accuracy: Gaussian-process regression as the books have it, and what it is fitted to."""

import warnings
from statistics import fmean, pstdev
from typing import ClassVar

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor

from pipeline.search import posterior
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from pipeline.search.posterior import Posterior

PLAIN = configured({"lambda": 0})
#: Of two genes, of which the second does not matter.
SCORED = [
    Individual((first, second), 80.0 + 3 * place + noise, 1.0)
    for place, first in enumerate((0.25, 1.0, 4.0))
    for second, noise in ((0.5, 0.3), (1.0, -0.4), (2.0, 0.1))
]
NEW = [(0.5, 1.0), (2.0, 0.5), (1.0, 1.0)]


def logarithms(genomes) -> np.ndarray:
    return np.log2(np.array(genomes))


def by_hand(model: Posterior, genomes) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the function (Rasmussen and Williams 2006, Eq. 2.23 and 2.24), from the fitted kernel."""
    amplitude = model.process.kernel_.k1.k1.constant_value
    scales = model.process.kernel_.k1.k2.length_scale
    noise = model.process.kernel_.k2.noise_level
    seen, new = (logarithms([one.genome for one in SCORED]) / scales, logarithms(genomes) / scales)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return amplitude * np.exp(-0.5 * ((a[:, None] - b[None]) ** 2).sum(2))

    odds = log_odds(np.array([one.top1 for one in SCORED]))
    target = (odds - odds.mean()) / odds.std()
    weights = np.linalg.solve(kernel(seen, seen) + noise * np.eye(len(seen)), kernel(seen, new))
    covariance = kernel(new, new) - kernel(new, seen) @ weights
    return odds.mean() + odds.std() * (weights.T @ target), odds.var() * covariance


def log_odds(top1):
    return np.log((top1 + 1) / (101 - top1))


def test_it_expects_what_the_equations_say():
    model = Posterior.of(SCORED, PLAIN)
    odds = [float(log_odds(one.top1)) for one in SCORED]
    assert model.mean == pytest.approx(fmean(odds))
    assert model.deviation == pytest.approx(pstdev(odds))
    mean, covariance = by_hand(model, NEW)
    assert log_odds(model.expected(NEW)) == pytest.approx(mean, rel=1e-6)
    higher = mean + 2 * np.sqrt(np.diag(covariance))
    assert log_odds(model.expected(NEW, deviations=2)) == pytest.approx(higher, rel=1e-3)


def test_what_it_draws_has_the_covariance_of_the_equations():
    model = Posterior.of(SCORED, PLAIN)
    mean, covariance = by_hand(model, NEW)
    drawn = log_odds(model.draw(NEW, 40_000, seed=3))
    assert drawn.mean(0) == pytest.approx(mean, abs=0.002)
    assert np.cov(drawn.T) == pytest.approx(covariance, rel=0.05, abs=1e-5)


def test_scores_that_are_all_equal():
    model = Posterior.of([one._replace(top1=90.0) for one in SCORED], PLAIN)
    assert model.deviation == 1.0
    assert model.expected(NEW) == pytest.approx(90.0)


@pytest.mark.parametrize("top1", [0.0, 100.0])
def test_none_right_and_all_right_are_scores(top1):
    model = Posterior.of([one._replace(top1=top1) for one in SCORED], PLAIN)
    assert model.expected(NEW) == pytest.approx(top1, abs=1e-6)


def test_a_score_of_nothing_is_a_score():
    model = Posterior.of([one._replace(top1=float(place % 2)) for place, one in enumerate(SCORED)], PLAIN)
    none, one = float(log_odds(0.0)), float(log_odds(1.0))
    assert model.mean == pytest.approx((5 * none + 4 * one) / 9)
    assert model.deviation == pytest.approx((one - none) * (4 / 9 * 5 / 9) ** 0.5)


def test_what_is_believed_beforehand():
    """In units of the scores' deviation: an amplitude of 2, scales of 3 octaves, a noise of 0.05 in its square."""
    model = Posterior.of(SCORED, PLAIN)
    (amplitude, *scales, noise) = np.exp(model.process.kernel_.bounds)
    assert amplitude == pytest.approx((0.1, 100.0)) and noise == pytest.approx((1e-3, 1.0))
    assert [tuple(scale) for scale in scales] == [pytest.approx((0.3, 30.0))] * 2


class Recorded(GaussianProcessRegressor):
    """Keeps what it was fitted to, and from where it started."""

    fits: ClassVar[list] = []

    def fit(self, X, y):
        self.fits.append((X, y, self.kernel.get_params(), self.optimizer))
        return super().fit(X, y)


def test_scales_are_fitted_to_the_best_and_the_latest_and_all_are_believed(monkeypatch):
    monkeypatch.setattr(posterior, "FITTED", 6)
    monkeypatch.setattr(posterior, "GaussianProcessRegressor", Recorded)
    monkeypatch.setattr(Recorded, "fits", [])
    history = [SCORED[place] for place in (8, 6, 0, 4, 2, 5, 3, 1)]
    Posterior.of(history, PLAIN)
    (some, _, start, optimizer), (everything, target, kept, none) = Recorded.fits
    # Of places 6, 8 and 3 are the best, of 5, 3 and 1 the latest; one that is both counts once.
    assert [tuple(point) for point in some] == [tuple(np.log2(SCORED[place].genome)) for place in (6, 8, 3, 5, 1)]
    assert [tuple(point) for point in everything] == [tuple(np.log2(one.genome)) for one in history]
    assert target.mean() == pytest.approx(0) and target.std() == pytest.approx(1)
    assert optimizer and none is None
    assert start["k1__k1__constant_value"] == 4.0 and start["k2__noise_level"] == 0.05
    assert list(start["k1__k2__length_scale"]) == [3.0, 3.0]
    assert kept["k2__noise_level"] != start["k2__noise_level"], "what was fitted stays"


def test_a_gene_that_does_not_matter_is_no_cause_for_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Posterior.of([one._replace(top1=80.0 + np.log2(one.genome[0])) for one in SCORED], PLAIN)
