"""Take a picture of a running supervisor's overview: `python scripts/screenshot.py [--attach PATH] [--out FILE]`.

It attaches as `agt-tui` does, waits until the picture is there and every chart has some history, and writes an SVG.
"""

import argparse
import asyncio
import re
import sys
from pathlib import Path

from agt.supervisor.client import default_socket
from agt.tui._glyphs import UNICODE
from agt.tui.app import AgtApp

OUT = Path("docs/images/overview.svg")
_FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Fonts from afar: whoever looks at the picture shouldn't have to fetch them."""


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Take a picture of the live screen.")
    parser.add_argument("--attach", type=Path, default=None, metavar="PATH", help="control socket")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE", help=f"where to write it (default: {OUT})")
    parser.add_argument("--size", default="124x40", metavar="COLUMNSxROWS")
    parser.add_argument("--keys", default="", help="keys to press first, separated by commas")
    parser.add_argument("--wait", type=float, default=20.0, metavar="SECONDS", help="how long to wait for a picture")
    return parser.parse_args()


async def take(options: argparse.Namespace) -> int:
    """Attach, wait, write; returns the exit status."""
    columns, rows = (int(part) for part in options.size.split("x"))
    app = AgtApp(options.attach or default_socket(), read_only=not options.keys, glyphs=UNICODE)
    async with app.run_test(size=(columns, rows)) as pilot:
        for _ in range(int(options.wait * 10)):
            if app.view is not None:
                break
            await pilot.pause(0.1)
        else:
            print(f"no picture in {options.wait:g} s: {app.connection.reason}", file=sys.stderr)
            return 1
        await pilot.pause(0.5)
        for key in filter(None, options.keys.split(",")):
            await pilot.press(key)
            await pilot.pause(0.5)
        svg = app.export_screenshot(title="agt-tui")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(_FONT_FACE.sub("", svg), encoding="utf-8")
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(take(_parse())))
