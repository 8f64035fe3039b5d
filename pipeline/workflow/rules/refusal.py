"""The error by which Snakemake shows a user's mistake in one sentence, and nothing of the code that has found it."""

from typing import Any

from snakemake.exceptions import WorkflowError


class Error(WorkflowError):  # type: ignore[misc]  # snakemake is not typed
    """A user's mistake, found while rules are read or jobs are begun.

    Of another WorkflowError, Snakemake prints where it was raised, file by file: of one's own code, in a rules file
    that is not what is wrong.
    """

    @property
    def __traceback__(self) -> Any:
        """Nothing, whatever is set: it is what Snakemake prints."""
        return None

    @__traceback__.setter
    def __traceback__(self, value: Any) -> None: ...
