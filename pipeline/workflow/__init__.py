"""How it runs: configuration, where files lie, launch and locks, SLURM, status, forecast."""
