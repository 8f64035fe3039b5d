"""The forecast of what an experiment will take: time, memory and disk, before anything runs."""
