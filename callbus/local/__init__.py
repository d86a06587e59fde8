"""Callbus on one machine without containers: private nodes, supervisor, edge."""
