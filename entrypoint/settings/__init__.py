"""What the operator wants: read, checked, frozen."""
