"""The live screen of a migration: a client of the supervisor's control API, and nothing more.

`agt-tui` starts it (`agt.tui.__main__`); `agt.tui.app.AgtApp` is the application, for those who embed or photograph it.
Nothing is imported here, so that the command can start a demo's processes before it loads the screen.
"""

__all__: tuple[str, ...] = ()
