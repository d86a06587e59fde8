"""Plays realistic calls of every provider against a running system: `make demo`."""
