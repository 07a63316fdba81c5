"""The colours: quiet, two hues for the two runtimes, and warm ones only for what needs a person."""

from typing import Final

from textual.theme import Theme

THEME: Final = Theme(
    name="agt",
    primary="#6fb3f2",
    secondary="#b9a5e0",
    accent="#6fb3f2",
    success="#84c98b",
    warning="#e6b455",
    error="#ef6b73",
    foreground="#d5dae3",
    background="#10141b",
    surface="#151a23",
    panel="#1f2733",
    dark=True,
    variables={
        "muted": "#8490a3",
        "border": "#364152",
        "footer-background": "#10141b",
        "footer-key-foreground": "#6fb3f2",
        "footer-description-foreground": "#9aa5b5",
    },
)
