"""What is run: configuration, cells, the plan of the graph, locks, what is done, and what may go."""
