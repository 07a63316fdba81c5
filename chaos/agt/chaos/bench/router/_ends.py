"""The processes of the router bench: `python -m agt.chaos.bench.router._ends TASK` with a task in JSON.

Each prints one line of JSON when it is ready or done; a device ends when its standard input does.
"""

import asyncio
import sys

import msgspec

from agt.chaos.bench._tasks import say
from agt.chaos.bench.router._decisions import decide
from agt.chaos.bench.router._messages import route, serve
from agt.chaos.bench.router._moves import move
from agt.chaos.bench.router._tasks import DecideTask, MoveTask, RouteTask, ServeTask, Task


def main(argument: str) -> None:
    """Do the task that the argument describes."""
    task: Task = msgspec.json.decode(argument, type=Task)
    match task:
        case DecideTask():
            say(decide(task))
        case RouteTask():
            say(asyncio.run(route(task)))
        case ServeTask():
            asyncio.run(serve(task))
        case MoveTask():
            say(asyncio.run(move(task)))


if __name__ == "__main__":
    main(sys.argv[1])
