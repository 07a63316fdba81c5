"""The processes of the bench: a receiver, a sender, both ends of round trips on one core, and idle connections.

`python -m agt.chaos.bench._ends TASK` with a task in JSON; each prints one line of JSON when it is ready or done.
Receivers end when their standard input does, and then print what they counted.
"""

import asyncio
import os
import sys
import time
from collections.abc import Coroutine

import msgspec

from agt.chaos.bench._idle import dial, listen
from agt.chaos.bench._limits import blocking_round_trips
from agt.chaos.bench._subjects import SUBJECTS
from agt.chaos.bench._tasks import (
    Counted,
    DialTask,
    ListenTask,
    Ready,
    ReceiveTask,
    RoundTripTask,
    SendTask,
    Sent,
    Task,
    Trips,
    say,
    stdin_ended,
)
from agt.chaos.bench._work import Consumer, Payloads, awaited, in_batches, round_trips


def _cpu_clock(pid: int) -> int:
    """Return the clock of another process's CPU time (the kernel's CPUCLOCK_SCHED of that pid)."""
    return (~pid << 3) | 2


async def receive(task: ReceiveTask) -> None:
    """Serve until told to stop."""
    consumer = Consumer()
    async with SUBJECTS[task.subject].serve(consumer) as port:
        say(Ready(port=port))
        await stdin_ended()
    say(Counted(unique=consumer.unique, unexpected=consumer.unexpected))


async def send(task: SendTask) -> None:
    """Measure throughput towards a receiver in another process, and both processes' CPU time."""
    subject, payloads = SUBJECTS[task.subject], Payloads()
    acknowledged, rates, cpu_s = 0, {}, (0.0, 0.0)
    batch_per_s = 0.0
    receiver_clock = _cpu_clock(task.receiver_pid)
    async with subject.connect(task.port) as client:
        if subject.awaits:
            acknowledged += await awaited(client.send, payloads.take(task.warm_up), 64)
            for window in task.windows:
                messages = payloads.take(task.messages)
                cpu = time.process_time(), time.clock_gettime(receiver_clock)
                started = time.perf_counter()
                acknowledged += await awaited(client.send, messages, window)
                rates[str(window)] = task.messages / (time.perf_counter() - started)
                cpu_s = time.process_time() - cpu[0], time.clock_gettime(receiver_clock) - cpu[1]
        else:
            in_flight = subject.batches_in_flight
            acknowledged += await in_batches(client.send_batch, payloads.take(task.warm_up), client.count, in_flight)
            messages = payloads.take(task.batched)
            started = time.perf_counter()
            acknowledged += await in_batches(client.send_batch, messages, client.count, in_flight)
            batch_per_s = task.batched / (time.perf_counter() - started)
    per_100k = 100_000 / task.messages
    say(
        Sent(
            sent=payloads.made,
            acknowledged=acknowledged,
            acked_per_s=rates,
            batch_acked_per_s=batch_per_s,
            sender_cpu_s_per_100k=cpu_s[0] * per_100k,
            receiver_cpu_s_per_100k=cpu_s[1] * per_100k,
        )
    )


async def trip(task: RoundTripTask) -> None:
    """Measure round trips with both ends in this process, on one core and one loop."""
    consumer, payloads = Consumer(), Payloads()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if task.subject == "blocking":
        took_s = blocking_round_trips(payloads.take(task.round_trips))
        consumer.unique = payloads.made
    else:
        subject = SUBJECTS[task.subject]
        async with subject.serve(consumer) as port, subject.connect(port) as client:
            await round_trips(client.send, payloads.take(task.round_trips // 10))
            took_s = await round_trips(client.send, payloads.take(task.round_trips))
    assert consumer.unique == payloads.made, f"received {consumer.unique} of {payloads.made} round trips"
    ordered = sorted(took_s)
    say(Trips(p50_us=ordered[len(ordered) // 2] * 1e6, p99_us=ordered[len(ordered) * 99 // 100] * 1e6))


def _work(task: Task) -> Coroutine[None, None, None]:
    match task:
        case ReceiveTask():
            return receive(task)
        case SendTask():
            return send(task)
        case RoundTripTask():
            return trip(task)
        case ListenTask():
            return listen(task)
        case DialTask():
            return dial(task)


def main(argument: str) -> None:
    """Do the task that the argument describes."""
    task: Task = msgspec.json.decode(argument, type=Task)
    if task.loop == "uvloop":
        import uvloop  # noqa: PLC0415 - the extra `speed`, loaded only where it was asked for

        uvloop.run(_work(task))
    else:
        asyncio.run(_work(task))


if __name__ == "__main__":
    main(sys.argv[1])
