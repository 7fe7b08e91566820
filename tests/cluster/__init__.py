"""The real control plane, for the tests: built from pinned parts, started on loopback, ended again."""
