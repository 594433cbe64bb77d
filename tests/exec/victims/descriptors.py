"""Writes the numbers of its open descriptors into a file."""

import os
import sys

opened = [descriptor for descriptor in range(64) if os.path.exists(f"/proc/self/fd/{descriptor}")]
with open(sys.argv[1], "w", encoding="ascii") as file:
    file.write(f"{opened}\n")
