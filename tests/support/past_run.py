"""Records of a run that is over, written as a supervisor writes them, at whatever moments a test wants."""

from pathlib import Path

import msgspec

from agt.supervisor.measure import RouterSample, RuntimeCounters
from agt.supervisor.records import (
    SCHEMA,
    Alert,
    AlertLedger,
    Audit,
    AuditRow,
    Context,
    Entry,
    Incidents,
    Journal,
    KeptPlan,
    Store,
)
from agt.supervisor.rollout import State, Status, parse_plan

DAY_S, HOUR_S = 86_400.0, 3600.0
BEGUN = 1_763_164_800.0  # 2025-11-15, document 004's own example.
PLAN = """
schema = 1
name = "cync-tcp"
[runtimes]
control = "legacy"
candidate = "reliable"
[[objective]]
name = "toggle-success"
metric = "success_ratio"
at_least = 0.999
[[phase]]
name = "half"
route = { percent = 50 }
soak = "2d"
[[phase.gate]]
objective = "all"
[[phase]]
name = "cutover"
route = { percent = 100 }
soak = "30d"
[[phase.gate]]
sign_off = "on-call engineer"
[[phase.gate]]
name = "nobody on legacy"
metric = "legacy_users"
equals = 0
"""


class PastRun:
    """Writes one run directory; times are days since it began."""

    def __init__(self, run: Path, *, squeeze: float = 1.0) -> None:
        self.run = run
        self.store = Store(run / "records.sqlite", schema=SCHEMA)
        assert self.store._connection is not None
        self.store._connection.execute("PRAGMA synchronous = OFF")  # Hundreds of samples, and no power cut to survive.
        self.journal, self.audit = Journal(self.store), Audit(self.store)
        self.incidents, self.context = Incidents(self.store), Context(self.store)
        self.plan = parse_plan(PLAN).squeezed(squeeze)
        self.state = State(plan=self.plan.name, status=Status.RUNNING)
        self.number, self.good, self.bad = 0, 0.0, 0.0

    def at(self, day: float) -> float:
        """Return a moment."""
        return BEGUN + day * DAY_S / self.plan.squeeze

    async def begin(self) -> None:
        """Keep the plan and route the first phase."""
        kept = KeptPlan(at=self.at(0), squeeze=self.plan.squeeze, body=msgspec.json.encode(self.plan.file))
        await self.context.keep_plan(kept)
        await self.decide(0, "started", "started cync-tcp with half", percent=50.0, candidate_since=self.at(0))

    async def decide(self, day: float, kind: str, says: str, *, numbers: object = None, **changes: object) -> None:
        """Write one decision with the state after it."""
        self.number += 1
        self.state = msgspec.structs.replace(self.state, journal=self.number, **changes)
        body = msgspec.json.encode(numbers or {})
        entry = Entry(at=self.at(day), kind=kind, says=says, numbers=body, state=msgspec.json.encode(self.state))
        await self.journal.append(entry)

    async def carry(self, first: float, last: float, *, rate: int = 1000, failing: float = 0.0) -> None:
        """Count traffic of the candidate, one sample an hour, from one day to another."""
        for hour in range(round(first * 24), round(last * 24) + 1):
            self.good += rate * (1 - failing)
            self.bad += rate * failing
            counters = RuntimeCounters(delivered=self.good, not_delivered=self.bad, accepted=self.good + self.bad)
            sample = RouterSample(router="r1", at=self.at(hour / 24), counters={"reliable": counters})
            await self.journal.observe(
                {"gateway.sock": sample}, [], progress=(self.number, b"{}"), keep_since=sample.at - 2 * DAY_S
            )

    async def alert(self, alert: Alert) -> None:
        """Write one alert."""
        ledger = await AlertLedger.load(self.store)
        ledger.note(alert)
        await ledger.flush()

    async def act(self, day: float, action: str, *, by: str = "token:ann") -> None:
        """Write one row of the audit."""
        await self.audit.append(AuditRow(at=self.at(day), by=by, action=action, outcome="done", says="ok"))

    async def whole(self) -> None:
        """A migration that met everything: two days at half, thirty at 100 %, signed, nobody left on legacy."""
        await self.begin()
        await self.carry(0, 2)
        await self.decide(
            2, "advanced", "half -> cutover: all gates passed", phase=1, percent=100.0, visits={"cutover": 1}
        )
        await self.carry(2, 33)
        signed = {"sign-off on-call engineer": "ann"}
        await self.decide(32, "signed-off", "signed off by ann", sign_offs=signed)
        gates = [{"name": "nobody on legacy", "verdict": "passed", "reason": "0 of = 0", "samples": 1}]
        await self.decide(
            33,
            "completed",
            "cync-tcp is complete",
            status=Status.COMPLETE,
            numbers={"carried_s": 31 * DAY_S, "gates": gates},
        )
        await self.act(33, "sign-off")

    async def aclose(self) -> None:
        """Close the file."""
        await self.store.aclose()
