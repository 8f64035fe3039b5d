"""Basics that every other room uses: errors, files, logs, processes, randomness. They know nothing of the method."""
