"""The command line, the local run and the demo of Callbus."""
