"""The benchmark around the methods: configuration, cells, evaluation, tables, figures, command line."""

from suite.kernels import fix_blas

fix_blas()  # before any module of this package loads numpy
