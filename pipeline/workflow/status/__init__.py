"""How far an experiment is, from the files of its results folder alone.

``reader`` reads them into a ``reading``, ``summary`` says what it means; the other modules are their parts.
"""
