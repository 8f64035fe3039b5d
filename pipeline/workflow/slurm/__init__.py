"""Everything that calls SLURM: its queue, its partitions, the time limits of its jobs."""
