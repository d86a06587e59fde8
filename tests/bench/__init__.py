"""How fast the parts are, against simpler ways of doing the same. See README.md."""
