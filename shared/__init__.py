"""The contract and the plumbing that the services share."""
