"""What became of providers' requests: refused ones are kept for some weeks, accepted ones are in their events."""
