"""Black-box tests of `exec`: one behaviour a file, real PID namespaces, real terminals."""
