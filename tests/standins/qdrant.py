"""A stand-in for a Qdrant server: its HTTP and gRPC as far as we speak them, answered by the client's own simulation.

It can be stopped and started again with what it held, frozen, and told to refuse keys. It searches exactly, and knows
nothing of segments, graphs or quantization.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
from aiohttp import web
from qdrant_client import AsyncQdrantClient, models

from tests.standins.qdrant_grpc import serve

HOST = "127.0.0.1"
Handler = Callable[[web.Request, Any], Awaitable[object]]


class Qdrant:
    """One server. ``memory`` is what it holds."""

    def __init__(self, key: str | None = None, version: str = "1.19.0") -> None:
        self.key = key
        self.version = version
        self.memory = AsyncQdrantClient(location=":memory:")
        self.asked: list[str] = []
        self.indexed: dict[str, dict[str, Any]] = {}
        self.going = asyncio.Event()
        self.going.set()
        self._runner: web.AppRunner | None = None
        self._wire: grpc.aio.Server | None = None
        self._port = 0
        self.grpc_port = 0

    @property
    def url(self) -> str:
        """Where it listens, also while it is stopped."""
        return f"http://{HOST}:{self._port}"

    async def start(self) -> None:
        """Listens, on the ports that it had."""
        app = web.Application(client_max_size=1 << 26)
        collection = "/collections/{name}"
        for method, path, handler in (
            ("GET", "/", self._info),
            ("GET", "/aliases", self._aliases),
            ("POST", "/collections/aliases", self._realias),
            ("GET", "/collections", self._collections),
            ("PUT", collection, self._create),
            ("GET", collection, self._collection),
            ("DELETE", collection, self._delete_collection),
            ("PUT", f"{collection}/index", self._index),
            ("PUT", f"{collection}/points", self._upsert),
            ("POST", f"{collection}/points", self._retrieve),
            ("POST", f"{collection}/points/delete", self._delete),
            ("POST", f"{collection}/points/payload", self._set_payload),
            ("POST", f"{collection}/points/scroll", self._scroll),
            ("POST", f"{collection}/points/count", self._count),
            ("POST", f"{collection}/points/query/batch", self._query),
        ):
            app.router.add_route(method, path, self._answering(handler))
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self._port, reuse_address=True)
        await site.start()
        self._port = self._port or self._runner.addresses[0][1]
        self._wire, self.grpc_port = await serve(self, HOST, self.grpc_port)

    async def stop(self) -> None:
        """Nobody listens on the ports; what was held is kept."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._wire is not None:
            await self._wire.stop(grace=None)
            self._wire = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Requests are taken and not answered."""
        self.going.clear()
        try:
            yield
        finally:
            self.going.set()

    def _answering(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            self.asked.append(f"{request.method} {request.path}")
            await self.going.wait()
            if self.key is not None and request.headers.get("api-key") != self.key:
                return web.json_response({"status": {"error": "Invalid API key"}}, status=401)
            body = await request.json() if request.can_read_body else None
            try:
                result = await handler(request, body)
            except ValueError as exc:
                return web.json_response({"status": {"error": str(exc)}}, status=404)
            if request.path == "/":
                return web.json_response(result)
            return web.json_response({"result": result, "status": "ok", "time": 0.0})

        return answer

    # -- requests -----------------------------------------------------------------------------------------------------

    async def _info(self, _request: web.Request, _body: Any) -> object:
        return {"title": "qdrant - vector search engine", "version": self.version}

    async def _aliases(self, _request: web.Request, _body: Any) -> object:
        return _json(await self.memory.get_aliases())

    async def _realias(self, _request: web.Request, body: Any) -> object:
        actions = models.ChangeAliasesOperation.model_validate(body).actions
        return await self.memory.update_collection_aliases(actions)

    async def _collections(self, _request: web.Request, _body: Any) -> object:
        return _json(await self.memory.get_collections())

    async def _create(self, request: web.Request, body: Any) -> object:
        wanted = models.CreateCollection.model_validate(body)
        return await self.memory.create_collection(
            _name(request),
            vectors_config=wanted.vectors,
            sparse_vectors_config=wanted.sparse_vectors,
            metadata=wanted.metadata,
        )

    async def _collection(self, request: web.Request, _body: Any) -> object:
        found = await self.memory.get_collection(_name(request))
        aliases = {one.alias_name: one.collection_name for one in (await self.memory.get_aliases()).aliases}
        there = self.indexed.get(aliases.get(_name(request), _name(request)), {})
        return {**_dict(found), "payload_schema": there}

    async def _delete_collection(self, request: web.Request, _body: Any) -> object:
        return await self.memory.delete_collection(_name(request))

    async def _index(self, request: web.Request, body: Any) -> object:
        wanted = models.CreateFieldIndex.model_validate(body)
        schema = {"data_type": "keyword", "params": body["field_schema"], "points": 0}
        self.indexed.setdefault(_name(request), {})[wanted.field_name] = schema
        return _DONE

    async def _upsert(self, request: web.Request, body: Any) -> object:
        points = models.PointsList.model_validate(body).points
        return _json(await self.memory.upsert(_name(request), points))

    async def _retrieve(self, request: web.Request, body: Any) -> object:
        wanted = models.PointRequest.model_validate(body)
        found = await self.memory.retrieve(_name(request), wanted.ids, with_payload=wanted.with_payload or False)
        return [_json(one) for one in found]

    async def _delete(self, request: web.Request, body: Any) -> object:
        kind = models.FilterSelector if "filter" in body else models.PointIdsList
        return _json(await self.memory.delete(_name(request), points_selector=kind.model_validate(body)))

    async def _set_payload(self, request: web.Request, body: Any) -> object:
        wanted = models.SetPayload.model_validate(body)
        points = wanted.filter if wanted.filter is not None else wanted.points
        assert points is not None
        return _json(await self.memory.set_payload(_name(request), wanted.payload, points=points))

    async def _scroll(self, request: web.Request, body: Any) -> object:
        wanted = models.ScrollRequest.model_validate(body)
        records, after = await self.memory.scroll(
            _name(request),
            scroll_filter=wanted.filter,
            limit=wanted.limit or 10,
            offset=wanted.offset,
            with_payload=wanted.with_payload or False,
        )
        return {"points": [_json(one) for one in records], "next_page_offset": after}

    async def _count(self, request: web.Request, body: Any) -> object:
        wanted = models.CountRequest.model_validate(body)
        return _json(await self.memory.count(_name(request), count_filter=wanted.filter))

    async def _query(self, request: web.Request, body: Any) -> object:
        wanted = models.QueryRequestBatch.model_validate(body)
        return [_json(one) for one in await self.memory.query_batch_points(_name(request), wanted.searches)]


_DONE = {"operation_id": 0, "status": "completed"}


def _name(request: web.Request) -> str:
    return request.match_info["name"]


def _json(value: Any) -> object:
    return value.model_dump(mode="json")


def _dict(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = value.model_dump(mode="json")
    return found


@asynccontextmanager
async def running(key: str | None = None, version: str = "1.19.0") -> AsyncIterator[Qdrant]:
    """A server that listens."""
    made = Qdrant(key, version)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
        await made.memory.close()
