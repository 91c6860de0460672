"""Methods over Bayesian flows: those of the paper, and the flow without a code."""
