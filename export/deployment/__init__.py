"""A bundle beyond one machine: what `python -m export deploy` writes, a file for each target."""
