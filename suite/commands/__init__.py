"""The command line: every command does one thing that a rule of the workflow calls by ``shell:``."""
