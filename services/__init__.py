"""The services: each one process, joined by nothing but the broker."""
