"""What is measured: arrays of trained cells, metrics of arrays, rows of metrics, and where each comes from."""
