"""The ground that every other room stands on: errors, files, logs, processes, randomness. Knows no method."""
