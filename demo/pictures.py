"""The pictures of the README, drawn from the timeline of a real demo: `make pictures`."""

from __future__ import annotations

from html import escape
from pathlib import Path

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
WIDTH, LEFT, ROW, BAR = 760, 240, 30, 16  # pixels
# Colours that can be read on a light page and on a dark one.
STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.small { font-size: 11px; fill: #59636e; }
.line { stroke: #d1d9e0; }
.bar { fill: #0969da; } .held { fill: #bc4c00; } .none { fill: #1a7f37; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; } .small { fill: #9198a1; } .line { stroke: #3d444d; }
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
        ("sealed memory file", "token or key", 0.0, end, "held"),
        ("child that asks GitHub", "token or key", 0.0, asked, "held"),
        ("config.sh", "registration token", asked, registered, "held"),
        ("PID 1, listener, worker, job", "nothing", 0.0, end, "none"),
    ]


def _picture(title: str, rows: list[tuple[str, str, float, float, str]]) -> str:
    end = max(row[3] for row in rows)
    scale = (WIDTH - LEFT - 110) / end
    height = ROW * len(rows) + 58
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
            f' viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        ),
        f"<style>{STYLE}</style>",
        f'<text x="8" y="22" font-weight="600">{escape(title)}</text>',
    ]
    for number, (name, words, begin, until, kind) in enumerate(rows):
        y = 36 + ROW * number
        x, width = LEFT + begin * scale, max(2.0, (until - begin) * scale)
        lines += [
            f'<text x="8" y="{y + BAR - 3}">{escape(name)}</text>',
            f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" rx="3"/>',
            f'<text class="small" x="{x + width + 6:.1f}" y="{y + BAR - 4}">{escape(words)}</text>',
        ]
    axis = 36 + ROW * len(rows)
    lines += [
        f'<line class="line" x1="{LEFT}" y1="{axis}" x2="{LEFT + end * scale:.1f}" y2="{axis}"/>',
        f'<text class="small" x="{LEFT}" y="{axis + 15}">0 s</text>',
        f'<text class="small" x="{LEFT + end * scale - 24:.1f}" y="{axis + 15}">{end:.1f} s</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
