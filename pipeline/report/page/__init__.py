"""The report: one page that tells an experiment."""
