"""Baselines and sanity rows, one file each."""
