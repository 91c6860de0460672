"""ParamReL (arXiv 2405.15268) and what every method of the benchmark shares.

Nothing in this package knows the workflow or the command line.
"""

CODE_VERSION = 1
"""Version of the code that all methods share (training loop, networks, random streams).

It is part of every run's hash. Raise it when a change to shared code changes what a training computes;
a change to one method raises that method's own ``version`` instead.
"""
