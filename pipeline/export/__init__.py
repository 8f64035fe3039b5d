"""The forms in which a network leaves: packed, its exact thresholds, and a plain runner to compare others with."""
