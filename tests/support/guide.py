"""The code blocks of docs/guides/embedding.md, by section: the tests run them as printed."""

from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "embedding.md"


def blocks(heading: str, language: str = "python") -> list[str]:
    """Return the blocks of one section."""
    section = GUIDE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [part.split("```")[0] for part in section.split(f"```{language}\n")[1:]]
