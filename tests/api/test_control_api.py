"""The control API over a real Unix socket: what it answers, and how it says no."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest

from agt.supervisor.actions import Action, Refused
from agt.supervisor.client import Client
from agt.supervisor.sessions import SessionOrder
from agt.supervisor.view import Receipt


@pytest.fixture
async def http(control_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A plain HTTP client on the socket, as scripts would use it."""
    transport = httpx.AsyncHTTPTransport(uds=str(control_path))
    async with httpx.AsyncClient(transport=transport, base_url="http://agt") as http:
        yield http


async def test_view_is_what_the_backend_shows(client: Client, backend) -> None:
    """GET /v1/view gives back the very view."""
    assert await client.view() == backend.current


async def test_alerts_are_listed(client: Client, backend) -> None:
    """GET /v1/alerts gives the view's alerts."""
    assert await client.alerts() == backend.current.alerts


async def test_an_action_reaches_the_backend_and_its_receipt_comes_back(client: Client, backend) -> None:
    """What is asked is what is done, field by field."""
    asked = Action(action="set", percentage=15.0, version=1, by="ops", reason="slowly")
    receipt = await client.act(asked)
    assert backend.acted == [asked]
    assert receipt == Receipt(action="set", says="did set", version=2, routed_ms=1.5)


async def test_a_preview_changes_nothing(client: Client, backend) -> None:
    """A preview answers the sentence and leaves the version alone."""
    preview = await client.preview(Action(action="rollback"))
    assert (preview.says, preview.moves, preview.version) == ("moves 12 devices", 12, 1)
    assert backend.acted == []
    assert backend.current.version == 1


@pytest.mark.parametrize(
    ("action", "code", "status"),
    [
        (Action(action="advance", version=99), "stale", 409),
        (Action(action="resume", version=1), "refused", 409),
        (Action(action="drill", name="earthquake"), "unknown", 404),
        (Action(action="advance"), "invalid", 422),
        (Action(action="set"), "invalid", 422),
        (Action(action="set", percentage=101.0), "invalid", 422),
        (Action(action="set", percentage=10.0, devices=7), "invalid", 422),
        (Action(action="set", devices=-1), "invalid", 422),
        (Action(action="component", name="codec"), "invalid", 422),
        (Action(action="override", side="control"), "invalid", 422),
        (Action(action="sign-off"), "invalid", 422),
        (Action(action="record-cause", reason="  "), "invalid", 422),
    ],
)
async def test_a_refusal_keeps_its_code_on_the_way(
    client: Client, http: httpx.AsyncClient, backend, action: Action, code: str, status: int
) -> None:
    """Each culprit has its status, one body for all, and nothing is done."""
    with pytest.raises(Refused) as refused:
        await client.act(action)
    assert refused.value.code == code
    body = {key: getattr(action, key) for key in ("action", "version", "name", "reason", "percentage", "devices")}
    response = await http.post("/v1/actions", json=body)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert response.json()["error"]["message"] == refused.value.message
    assert backend.acted == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"not json", "not JSON"),
        (b'{"action": "explode"}', "$.action"),
        (b'{"action": "hold", "colour": "red"}', "colour"),
        (b'{"action": "set", "percentage": "ten"}', "$.percentage"),
        (b'{"reason": "%s"}' % (b"x" * 70_000), "larger than"),
        (b"", "not JSON"),
    ],
)
async def test_an_invalid_body_names_what_is_wrong(http: httpx.AsyncClient, backend, body: bytes, says: str) -> None:
    """422 with the field's name, before the backend is asked."""
    for route in ("/v1/actions", "/v1/previews"):
        response = await http.post(route, content=body)
        assert response.status_code == 422
        assert response.json()["error"]["code"] == "invalid"
        assert says in response.json()["error"]["message"]
    assert backend.acted == []


async def test_an_unknown_route_and_a_wrong_method_answer_in_the_same_shape(http: httpx.AsyncClient) -> None:
    """404 and 405 carry the error body too."""
    missing = await http.get("/v2/view")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown")
    wrong = await http.get("/v1/actions")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "invalid")


async def test_the_same_key_is_done_once(client: Client, backend) -> None:
    """A request sent again answers the first receipt, even though its version is stale by now."""
    asked = Action(action="advance", version=1, key="k1")
    first = await client.act(asked)
    assert await client.act(asked) == first
    assert len(backend.acted) == 1


async def test_a_key_of_another_request_is_refused(client: Client, backend) -> None:
    """A key names one request for good."""
    await client.act(Action(action="advance", version=1, key="k1"))
    with pytest.raises(Refused, match="used for another request"):
        await client.act(Action(action="advance", version=2, key="k1"))
    assert len(backend.acted) == 1


async def test_twins_at_the_same_time_are_done_once(client: Client, backend) -> None:
    """The second of two concurrent requests waits for the first one's receipt."""
    backend.hold_acts = anyio.Event()
    receipts: list[Receipt] = []

    async def ask() -> None:
        receipts.append(await client.act(Action(action="advance", version=1, key="k1")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        tasks.start_soon(ask)
        await client.view()
        backend.hold_acts.set()
    assert receipts[0] == receipts[1]
    assert len(backend.acted) == 1


async def test_going_back_is_never_answered_from_memory(client: Client, backend) -> None:
    """The same key twice rolls back twice: what takes no key must always act."""
    for _ in range(2):
        await client.act(Action(action="rollback", key="k1"))
    assert [action.action for action in backend.acted] == ["rollback", "rollback"]


async def test_a_refused_request_may_be_sent_again(client: Client, backend) -> None:
    """Only receipts are remembered; a refusal changed nothing."""
    asked = Action(action="advance", version=2, key="k1")
    with pytest.raises(Refused):
        await client.act(asked)
    backend.change()
    assert (await client.act(asked)).says == "did advance"


async def test_health_and_metrics_say_what_the_view_says(http: httpx.AsyncClient, backend) -> None:
    """Liveness is one JSON line, metrics are Prometheus text."""
    assert (await http.get("/healthz")).json() == {"status": "ok", "version": 1, "rollout": "running"}
    text = (await http.get("/metrics")).text
    assert 'agt_rollout_status{plan="scripted",status="running"} 1' in text
    assert 'agt_rollout_status{plan="scripted",status="held"} 0' in text
    assert 'agt_alerts_open{severity="warn"} 1' in text
    assert 'agt_rollout_percentage{plan="scripted"} 10' in text


async def test_openapi_describes_the_real_types(http: httpx.AsyncClient) -> None:
    """Every reference resolves."""
    document = (await http.get("/v1/openapi.json")).json()
    schemas = document["components"]["schemas"]
    references = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert references <= schemas.keys()
    assert {"View", "Action", "Receipt", "Preview", "ErrorBody"} <= schemas.keys()
    assert "kill-switch-on" in json.dumps(schemas["Action"])


async def test_a_bug_of_the_backend_is_one_clear_answer(http: httpx.AsyncClient, backend) -> None:
    """An unexpected error is 500 in the usual shape, and the next request works."""
    backend.view = None
    response = await http.get("/v1/view")
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal")
    del backend.view
    assert (await http.get("/v1/view")).status_code == 200


async def test_sessions_are_listed_and_restarted(client: Client, http: httpx.AsyncClient) -> None:
    """Filters reach the backend; the receipt names each session once."""
    assert [one.session for one in (await client.sessions()).sessions] == ["lamp-1", "lamp-2"]
    assert [one.session for one in (await client.sessions(pinned=True)).sessions] == ["lamp-1"]
    assert [one.session for one in (await client.sessions(after="lamp-1", limit=1)).sessions] == ["lamp-2"]
    receipt = await client.restart_sessions(SessionOrder(sessions=("lamp-2", "lamp-9"), dry_run=True))
    assert (receipt.restarted, receipt.refused, receipt.dry_run) == (("lamp-2",), {"lamp-9": "no such session"}, True)
    for answer, code in (
        (await http.get("/v1/sessions", params={"runtime": "v9"}), "unknown"),
        (await http.get("/v1/sessions", params={"limit": "-1"}), "invalid"),
        (await http.post("/v1/sessions/restarts", content=b'{"sessions": []}'), "invalid"),
        (await http.post("/v1/sessions/restarts", content=b'{"sessions": ["a"], "now": 1}'), "invalid"),
        (await http.post("/v1/sessions/restarts", content=b"\xff"), "invalid"),
        (await http.post("/v1/sessions/restarts", content=b" " * 600_000), "invalid"),
    ):
        assert answer.json()["error"]["code"] == code
