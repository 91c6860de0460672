"""The benchmark around the methods: configuration, cells, evaluation, tables, figures, command line."""

from suite.graph.kernels import fix_blas

fix_blas()  # before numpy is loaded, which commands do inside of their functions

import baselines  # noqa: E402, F401  (its methods are found also where no installed package names them)
