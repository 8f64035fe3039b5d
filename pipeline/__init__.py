"""Searching for accurate binary neural networks, and proving what was found.

The inner layer knows the method and no files: :mod:`pipeline.networks`, :mod:`pipeline.genome`,
:mod:`pipeline.cost`, :mod:`pipeline.evolution`, :mod:`pipeline.binarisation`, :mod:`pipeline.model` and
:mod:`pipeline.training`. The outer layer reads inputs, calls the inner one and writes outputs: :mod:`pipeline.steps`,
one module for each step, behind the command line ``python -m pipeline``.
"""

__version__ = "0.1.0"

#: Raised whenever a change of the code changes what a training computes, so that finished results of the older
#: method are neither mixed with new ones nor taken for them. Part of every archive key and of the rules' parameters.
METHOD_VERSION = 5
