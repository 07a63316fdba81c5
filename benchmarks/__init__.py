"""Ours beside the raw limit, in one run on one machine."""
