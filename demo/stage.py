"""What the audience sees: lines as things happen, and below them the phases as bars."""

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from demo.story import GITHUB, JOB, PID_1, RUNNER, Moment

COLOURS = {PID_1: "bold cyan", GITHUB: "magenta", RUNNER: "yellow", JOB: "green"}
BAR_WIDTH = 40
SHORTEST_AXIS = 6.0  # seconds; the bars have room for them from the start


class Stage:
    """A terminal with bars that grow; plain lines where there is no terminal."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.zero = 0.0
        self._live: Live | None = None

    def say(self, text: str, style: str = "") -> None:
        """Print one line of the narrator."""
        self.console.print(Text(text, style), soft_wrap=True)

    def heading(self, text: str) -> None:
        """Print the title of a part."""
        self.console.print()
        self.console.print(Rule(Text(text, "bold"), align="left"))

    def open(self, zero: float) -> None:
        """Begin the timeline; times count from `zero`."""
        self.zero = zero
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        if self.console.is_terminal:
            self._live.start()

    def close(self) -> None:
        """End the timeline; the bars vanish, and `bars` prints them."""
        if self._live is not None:
            self._live.stop()

    def tell(self, moment: Moment) -> None:
        """Print one line of the timeline."""
        at = (f"{moment.at - self.zero:7.3f} s  ", "dim")
        who = (f"{moment.who:<7} ", COLOURS[moment.who])
        self._print(at, who, moment.text)

    def runners(self, when: str, runners: list[dict[str, Any]]) -> None:
        """Print GitHub's list of runners."""
        shown = "; ".join(
            f"{r['name']} ({r['status']}, {'busy' if r['busy'] else 'idle'},"
            f" {', '.join(label['name'] for label in r['labels'])})"
            for r in runners
        )
        self._print(" " * 11, (f"GitHub's list {when}: ", "bold magenta"), shown or "empty")

    def grow(self, phases: list[tuple[str, float, float]]) -> None:
        """Show the bars at their present length."""
        if self._live is not None and self.console.is_terminal:
            self._live.update(Group(Text(), _bars(phases)), refresh=True)

    def bars(self, phases: list[tuple[str, float, float]]) -> None:
        """Print the bars for good."""
        self.console.print(_bars(phases))

    def promise(self, text: str, kept: bool, detail: str) -> None:
        """Say whether one promise was kept."""
        tick = ("  ✓ ", "bold green") if kept else ("  ✗ ", "bold red")
        self._print(tick, f"{text}: ", (detail, "bold"))

    def _print(self, *parts: str | tuple[str, str]) -> None:
        self.console.print(Text.assemble(*parts), soft_wrap=True)


def _bars(phases: list[tuple[str, float, float]]) -> RenderableType:
    axis = max(SHORTEST_AXIS, phases[-1][2])
    table = Table.grid(padding=(0, 1))
    for title, begin, end in phases:
        first, last = (round(at / axis * BAR_WIDTH) for at in (begin, end))
        first = min(first, BAR_WIDTH - 1)
        bar = Text("·" * first, "dim").append("█" * max(1, last - first), "cyan")
        bar.append("·" * (BAR_WIDTH - len(bar)), "dim")
        table.add_row(title, Text(f"{end - begin:.2f} s", justify="right"), bar)
    return table
