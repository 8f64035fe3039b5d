"""All that speaks to SLURM: its queue, its partitions, the time limits of its jobs."""
