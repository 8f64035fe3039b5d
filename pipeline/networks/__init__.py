"""Genomes, the networks that they stand for, their cost and, in torch, their weights."""
