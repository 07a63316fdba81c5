"""`python -m agt.supervisor.cli`: the `agt` command without its script, as the supervisor starts itself."""

from agt.supervisor.cli import main

main()
