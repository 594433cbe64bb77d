"""`python3 -I action`: one step of a workflow."""

import os
import sys

if not __package__:
    # Python was given a directory, and looks for modules in that, and not beside it.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from action.step import main

if __name__ == "__main__":
    main()
