"""Takes what telephone systems say over HTTP and publishes it as canonical call events. See README.md."""
