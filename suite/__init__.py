"""The benchmark around the methods: configuration, cells, evaluation, tables, figures, command line."""

from suite.graph.kernels import fix_blas

fix_blas()  # before numpy is loaded, which commands do inside of their functions
