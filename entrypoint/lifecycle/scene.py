"""The parts of one runner's life, put together in life.py."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from entrypoint.container.state import StateFile
    from entrypoint.init.pid1 import Init
    from entrypoint.lifecycle.credential_drop import CredentialDrop
    from entrypoint.lifecycle.engine import Engine
    from entrypoint.lifecycle.figures import Figures
    from entrypoint.registration.remove import Remover
    from entrypoint.runner.listener import Listener
    from entrypoint.settings.plan import Plan


class Scene:
    """The parts of one runner's life, which the functions of this package take together."""

    def __init__(  # noqa: PLR0913 - it has these parts, and does nothing
        self,
        *,
        pid_1: Init,
        plan: Plan,
        listener: Listener,
        remover: Remover,
        state_file: StateFile,
        figures: Figures,
        engine: Engine,
        drop: CredentialDrop,
    ) -> None:
        """Take the parts."""
        self.pid_1, self.plan = pid_1, plan
        self.listener, self.remover = listener, remover
        self.engine, self.drop = engine, drop
        self.state_file, self.figures = state_file, figures
