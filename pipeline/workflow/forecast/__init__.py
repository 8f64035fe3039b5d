"""What an experiment will take: time, memory and disk, before anything runs."""
