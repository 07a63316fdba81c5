"""`python -m agt.chaos.replay`: the replay without the rest of the command line."""

from agt.chaos.replay.cli import app

if __name__ == "__main__":
    app(prog_name="agt replay")
