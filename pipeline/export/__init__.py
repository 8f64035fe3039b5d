"""Export: the packed network, its exact thresholds, other formats, and a plain runner to compare with."""
