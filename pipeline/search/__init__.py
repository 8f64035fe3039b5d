"""Which genomes: the space, what they are worth, the algorithms that propose them, candidates and their archive."""
