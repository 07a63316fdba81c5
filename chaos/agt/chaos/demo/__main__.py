"""`python -m agt.chaos.demo`: the same as `agt demo`."""

from agt.chaos.demo.cli import main

if __name__ == "__main__":
    main()
