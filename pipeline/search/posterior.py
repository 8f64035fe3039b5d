"""A model of candidates' accuracy: a Gaussian process over the logarithms of their ratios.

It takes scores for what they are: noisy measurements of something smooth. It lives in their log-odds, in which what a
wider layer adds is alike for good networks and for bad ones, while accuracies end at 100 %.
"""

import warnings
from collections.abc import Sequence
from statistics import fmean, pstdev
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from pipeline.networks.genome import Genome
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective

#: Scores that the length scales are fitted to: the best and the latest. The posterior takes all.
FITTED = 200


class Posterior(NamedTuple):
    """A Gaussian process after it has seen scores: of the log-odds of top-1, over logarithms of ratios."""

    process: GaussianProcessRegressor
    mean: float
    deviation: float

    @classmethod
    def of(cls, scored: Sequence[Individual], objective: Objective) -> "Posterior":
        """Fits the process; ``objective`` says which scores are the best, to which its scales are fitted first."""
        odds = _odds(np.array([individual.top1 for individual in scored], dtype=float)).tolist()
        mean, deviation = fmean(odds), pstdev(odds) or 1.0
        chosen = [*objective.rank(scored, FITTED // 2), *scored[-FITTED // 2 :]]
        kernel = ConstantKernel(4.0, (0.1, 100.0)) * RBF([3.0] * len(scored[0].genome), (0.3, 30.0))
        kernel += WhiteKernel(0.05, (1e-3, 1.0))

        def points(individuals: Sequence[Individual]) -> tuple[np.ndarray, np.ndarray]:
            values = _odds(np.array([individual.top1 for individual in individuals], dtype=float))
            return _logarithms([individual.genome for individual in individuals]), (values - mean) / deviation

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a scale at its bound is a gene that does not matter
            fitted = GaussianProcessRegressor(kernel).fit(*points(list(dict.fromkeys(chosen))))
            process = GaussianProcessRegressor(fitted.kernel_, optimizer=None).fit(*points(scored))
        return cls(process, mean, deviation)

    def expected(self, genomes: Sequence[Genome], deviations: float = 0.0) -> np.ndarray:
        """Returns the top-1 in percent that genomes are expected to have, float64 (N,), the noise of a score left out.

        Args:
            genomes: that are asked about.
            deviations: how many of the belief's standard deviations are added.
        """
        mean, deviation = self.process.predict(_logarithms(genomes), return_std=True)
        noise = self.process.kernel_.k2.noise_level
        doubt = np.sqrt(np.maximum(deviation**2 - noise, 0.0))
        return _top1(self.mean + self.deviation * (mean + deviations * doubt))

    def draw(self, genomes: Sequence[Genome], count: int, seed: int) -> np.ndarray:
        """Returns ``count`` functions drawn from the posterior, at these genomes: top-1 in percent (count, N)."""
        mean, covariance = self.process.predict(_logarithms(genomes), return_cov=True)
        covariance = covariance - self.process.kernel_.k2.noise_level * np.eye(len(genomes))
        values, vectors = eigh(covariance)
        normal = np.random.default_rng(seed).standard_normal((count, len(genomes)))
        drawn = mean + (normal * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        return _top1(self.mean + self.deviation * drawn)


def _odds(top1: np.ndarray) -> np.ndarray:
    """Returns the logarithms of (right + 1 %) / (wrong + 1 %): finite, too, where all or none is right."""
    bounded = np.clip(top1, 0, 100)
    odds: np.ndarray = np.log((bounded + 1) / (101 - bounded))
    return odds


def _top1(odds: np.ndarray) -> np.ndarray:
    """Returns what has these log-odds, from −1 to 101 %: the inverse of :func:`_odds`."""
    top1: np.ndarray = 102 / (1 + np.exp(-odds)) - 1
    return top1


def _logarithms(genomes: Sequence[Genome]) -> np.ndarray:
    logarithms: np.ndarray = np.log2(np.array(genomes, dtype=float))
    return logarithms
