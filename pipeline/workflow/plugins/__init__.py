"""Packages that Snakemake finds by their names, if this folder is on its path."""
