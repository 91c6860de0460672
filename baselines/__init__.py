"""Baselines and sanity rows, one file each."""

from paramrel.registry import search

search("paramrel.methods", __name__)
