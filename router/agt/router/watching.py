"""Reload on change: the selector file and `agt.env`; needs `pip install agt-migrate[router]`."""

from agt.router._watch import EnvironmentFile, look, watch

__all__ = ("EnvironmentFile", "look", "watch")
