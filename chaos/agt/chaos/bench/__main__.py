"""`python -m agt.chaos.bench transport`: the same as `agt bench transport`."""

from agt.chaos.bench.cli import app

app()
