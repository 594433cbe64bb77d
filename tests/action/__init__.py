"""The action that starts runners on ECS: its program, its template, its example workflow."""
