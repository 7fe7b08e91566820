"""A Kubernetes API server on loopback: objects, the rules of every write, and the errors word for word."""
