"""Searching for accurate binary neural networks, and testing what was found.

Each room imports only rooms below it, from the front door down:

- :mod:`pipeline.steps`: the command line, one thin module for each rule or command; arguments in, files out.
- :mod:`pipeline.workflow`: how it runs: configuration, layout of files, launch, locks, SLURM, status, forecast.
- :mod:`pipeline.report`: what came out: rows, verdicts, tables, figures.
- :mod:`pipeline.search`: which genomes: space, fitness, algorithms, candidates and their archive.
- :mod:`pipeline.training.loop` (one training) and :mod:`pipeline.export` (what leaves), which do not know each other.
- :mod:`pipeline.networks` (what is searched) and :mod:`pipeline.data` (from images to batches), likewise.
- :mod:`pipeline.kernels`: compiled code.
- :mod:`pipeline.common`: the ground.
"""

__version__ = "0.1.0"

#: Raised whenever a change of the code changes what a training computes, so that finished results of the older
#: method are neither mixed with new ones nor taken for them. Part of every archive key and of the rules' parameters.
METHOD_VERSION = 6
