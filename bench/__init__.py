"""Benchmarks: commands that measure the hot paths as ratios to an empty Django view on the same server in the same run."""
