"""An init for any program: signals, children, waiting. Standard library, nothing of ours."""
