"""Black-box tests of `exec`: one behaviour a file, with real namespaces and terminals."""
