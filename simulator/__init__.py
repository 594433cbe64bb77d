"""A stand-in for GitHub and for GitHub's runner, to develop and test against.

`Simulator` starts the server and controls it. `make_distribution` writes a runner that talks to the
server. docs/simulator.md shows both by hand.
"""

from simulator.client import Simulator
from simulator.distribution import Distribution, make_distribution, make_tar

__all__ = ["Distribution", "Simulator", "make_distribution", "make_tar"]
