"""The subcommands of `scripts/benchmark`: each prints a table and the machine it ran on, and writes JSON."""
