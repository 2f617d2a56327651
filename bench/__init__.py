"""Measures the service beside small baselines, in one run on one machine: `python -m bench --help`."""
