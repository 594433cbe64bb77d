"""The pictures of the README, drawn from the timeline of a real demo: `make pictures`."""

from __future__ import annotations

from html import escape
from pathlib import Path

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
# As wide as a telephone shows without making it smaller, so that the letters keep their size.
WIDTH, EDGE, TOP, ROW, BAR = 400, 14, 48, 38, 12  # pixels
# The ground is part of the picture: the page may be dark where the system's theme is light.
STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; } .small { font-size: 12px; fill: #59636e; text-anchor: end; }
.ground { fill: #f6f8fa; stroke: #d1d9e0; } .all { fill: #d1d9e0; }
.bar { fill: #0969da; } .held { fill: #bc4c00; } .none { fill: #1a7f37; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; } .small { fill: #9198a1; }
  .ground { fill: #151b23; stroke: #3d444d; } .all { fill: #3d444d; }
  .bar { fill: #4493f8; } .held { fill: #db6d28; } .none { fill: #3fb950; }
}"""

Phase = tuple[str, float, float]  # title, begin and end in seconds


def draw(phases: list[Phase]) -> None:
    """Write both pictures: the life, and who holds the credential when."""
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / "life.svg").write_text(_picture("The life of a runner", _life(phases)))
    (PICTURES / "credential.svg").write_text(
        _picture("Who holds the credential, and when", _credential(phases))
    )


def _life(phases: list[Phase]) -> list[tuple[str, str, float, float, str]]:
    return [(title, f"{end - begin:.2f} s", begin, end, "bar") for title, begin, end in phases]


def _credential(phases: list[Phase]) -> list[tuple[str, str, float, float, str]]:
    begins = [begin for _, begin, _ in phases]
    end, asked, registered = phases[-1][2], begins[1], begins[2]
    return [
        ("sealed memory file of PID 1", "token or key", 0.0, end, "held"),
        ("child of PID 1 that asks GitHub", "token or key", 0.0, asked, "held"),
        ("config.sh", "registration token", asked, registered, "held"),
        ("listener, worker, job", "nothing", 0.0, end, "none"),
    ]


def _picture(title: str, rows: list[tuple[str, str, float, float, str]]) -> str:
    """Return a bar for each row, below its name, before a bar for the whole life."""
    end = max(row[3] for row in rows)
    full = WIDTH - 2 * EDGE
    height = TOP + ROW * len(rows)
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
            f' viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        ),
        f"<style>{STYLE}</style>",
        (
            f'<rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}"'
            ' rx="6"/>'
        ),
        f'<text class="title" x="{EDGE}" y="26">{escape(title)}</text>',
        f'<text class="small" x="{WIDTH - EDGE}" y="26">{end:.1f} s in all</text>',
    ]
    for number, (name, words, begin, until, kind) in enumerate(rows):
        y = TOP + ROW * number
        x, width = EDGE + begin / end * full, max(2.0, (until - begin) / end * full)
        lines += [
            f'<text x="{EDGE}" y="{y + 8}">{escape(name)}</text>',
            f'<text class="small" x="{WIDTH - EDGE}" y="{y + 8}">{escape(words)}</text>',
            f'<rect class="all" x="{EDGE}" y="{y + 15 + BAR // 2 - 1}" width="{full}" height="2"/>',
            (
                f'<rect class="{kind}" x="{x:.1f}" y="{y + 15}" width="{width:.1f}"'
                f' height="{BAR}" rx="3"/>'
            ),
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
