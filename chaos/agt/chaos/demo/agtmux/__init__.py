"""Document 001's system as small real processes: terminals, two daemons that list them, and the users' side.

`mux` is the source of events and the terminals themselves; `daemon` is v4 or v5, following the same events and serving
`list_panes` and `list_sessions` on a socket of its own; `ui` is who works in the sessions. Between them stands the
demo's gateway, which hands each session's commands to v4 or v5 as the selector says. Any command that answers the same
questions can take a daemon's place in the plan.
"""
