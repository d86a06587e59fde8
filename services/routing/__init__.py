"""Routing: who must see a call. So far the directory that it owns: its schema and its write side."""
