"""Processes in order, the rollout, its records, the control API and the `agt` command.

Nothing is imported here, so that a client of the control API pays only for what it names: `components` starts and
watches processes, `rollout` decides, `records` remembers, `control` serves, `service` puts them together.
"""

__all__ = ()
