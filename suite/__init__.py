"""The benchmark around the methods: configuration, cells, evaluation, tables, figures, command line."""
