"""Benchmarks: Ringback beside the bare cost of the same work in the same run."""
