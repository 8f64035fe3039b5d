"""Makes the pictures in docs/images of a finished experiment: its report's top and what a terminal shows.

    PYTHONPATH=. python docs/site/pictures.py digits

Chromium takes the picture of the page, rich draws the terminal.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

IMAGES = Path(__file__).resolve().parents[1] / "images"
COLUMNS = 100


def picture_report(page: Path) -> None:
    """Writes report.png: the page's first 1,560 pixels in 1,180 columns, in few colours so that the file is small."""
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder, "shot.png")
        words = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
        ]
        words += ["--disable-background-networking", "--window-size=1180,1560", f"--screenshot={shot}", page.as_uri()]
        subprocess.run(["chromium", *words], check=True, capture_output=True)
        small = Image.open(shot).convert("RGB").resize((944, 1248), Image.Resampling.LANCZOS)
        small.quantize(64).save(IMAGES / "report.png", optimize=True)


def picture_terminal(words: list[str]) -> None:
    """Writes terminal.svg: a command and what it prints."""
    environment = {**os.environ, "COLUMNS": str(COLUMNS)}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *words], check=True, capture_output=True, text=True, env=environment
    )
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere)
        console.print(Text(f"$ binary-nas {' '.join(words)}", style="bold"))
        console.print(Text(done.stdout.rstrip()))
    drawn = console.export_svg(title="binary-nas")
    # Without the fonts that it would fetch from elsewhere, and without a comment on them.
    drawn = re.sub(r"@font-face \{.*?\}|<!--.*?-->", "", drawn, flags=re.DOTALL)
    (IMAGES / "terminal.svg").write_text(drawn.replace("Fira Code", "DejaVu Sans Mono"), encoding="utf-8")


if __name__ == "__main__":
    experiment = sys.argv[1]
    picture_report(Path("results", experiment, "report.html").resolve())
    picture_terminal(["status", experiment])
