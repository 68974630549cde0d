"""Weights on this machine, in the hub client's own cache: what is there, what is missing, fetched and verified."""
