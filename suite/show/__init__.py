"""What is shown: tables, figures, the page, and the way back from a number to its files."""
