"""A model of candidates' accuracy: a Gaussian process over the logarithms of their ratios.

It takes scores for what they are: noisy measurements of something smooth.
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
    """A Gaussian process after it has seen scores: of top-1 in percent, over logarithms of ratios."""

    process: GaussianProcessRegressor
    mean: float
    deviation: float

    @classmethod
    def of(cls, scored: Sequence[Individual], objective: Objective) -> "Posterior":
        """Fits the process; ``objective`` says which scores are the best, to which its scales are fitted first."""
        mean, deviation = fmean(i.top1 or 0.0 for i in scored), pstdev(i.top1 or 0.0 for i in scored) or 1.0
        chosen = [*objective.rank(scored, FITTED // 2), *scored[-FITTED // 2 :]]
        kernel = ConstantKernel(4.0, (0.1, 100.0)) * RBF([3.0] * len(scored[0].genome), (0.3, 30.0))
        kernel += WhiteKernel(0.05, (1e-3, 1.0))

        def points(individuals: Sequence[Individual]) -> tuple[np.ndarray, np.ndarray]:
            top1 = np.array([individual.top1 for individual in individuals], dtype=float)
            return _logarithms([individual.genome for individual in individuals]), (top1 - mean) / deviation

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a scale at its bound is a gene that does not matter
            fitted = GaussianProcessRegressor(kernel).fit(*points(list(dict.fromkeys(chosen))))
            process = GaussianProcessRegressor(fitted.kernel_, optimizer=None).fit(*points(scored))
        return cls(process, mean, deviation)

    def predict(self, genomes: Sequence[Genome]) -> tuple[np.ndarray, np.ndarray]:
        """Returns expected top-1 in percent and its standard deviation without the noise of a score, each (N,)."""
        mean, deviation = self.process.predict(_logarithms(genomes), return_std=True)
        noise = self.process.kernel_.k2.noise_level
        return self.mean + self.deviation * mean, self.deviation * np.sqrt(np.maximum(deviation**2 - noise, 0.0))

    def draw(self, genomes: Sequence[Genome], count: int, seed: int) -> np.ndarray:
        """Returns ``count`` functions drawn from the posterior, at these genomes: top-1 in percent (count, N)."""
        mean, covariance = self.process.predict(_logarithms(genomes), return_cov=True)
        covariance = covariance - self.process.kernel_.k2.noise_level * np.eye(len(genomes))
        values, vectors = eigh(covariance)
        normal = np.random.default_rng(seed).standard_normal((count, len(genomes)))
        drawn = mean + (normal * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        return np.asarray(self.mean + self.deviation * drawn)


def _logarithms(genomes: Sequence[Genome]) -> np.ndarray:
    logarithms: np.ndarray = np.log2(np.array(genomes, dtype=float))
    return logarithms
