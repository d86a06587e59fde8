"""History: stores every call event with its raw, and the call that they make. See README.md."""
