"""What leaves the laboratory: the packed network, its exact thresholds, and a plain runner to compare others with."""
