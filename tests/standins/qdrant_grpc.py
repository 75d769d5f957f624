"""The gRPC of a stand-in for Qdrant: requests as the client makes them, answered by its simulation in memory.

The client's own converters read them, which are the other halves of those that wrote them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import grpc
from qdrant_client import AsyncQdrantClient, models
from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc

Method = Callable[[Any, Any, Any], Awaitable[Any]]


class Held(Protocol):
    """What is behind the wire."""

    memory: AsyncQdrantClient
    key: str | None
    version: str
    asked: list[str]
    indexed: dict[str, dict[str, Any]]
    going: asyncio.Event


async def serve(held: Held, host: str, port: int) -> tuple[grpc.aio.Server, int]:
    """A server that listens, and its port; ``port`` 0 chooses one."""
    server = grpc.aio.server(interceptors=[_Door(held)])
    wire.add_QdrantServicer_to_server(_Root(held), server)  # type: ignore[no-untyped-call]  # generated
    wire.add_CollectionsServicer_to_server(_Collections(held), server)  # type: ignore[no-untyped-call]  # likewise
    wire.add_PointsServicer_to_server(_Points(held), server)  # type: ignore[no-untyped-call]  # likewise
    chosen = server.add_insecure_port(f"{host}:{port}")
    await server.start()
    return server, chosen


class _Door(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc ships no types
    """Notes what is asked, keeps it waiting while the server is frozen, and looks at the key."""

    def __init__(self, held: Held) -> None:
        self._held = held

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        self._held.asked.append(details.method)
        await self._held.going.wait()
        if self._held.key is not None and dict(details.invocation_metadata).get("api-key") != self._held.key:
            return grpc.unary_unary_rpc_method_handler(_refuse)
        return await continuation(details)


async def _refuse(_request: Any, context: Any) -> None:
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, "Invalid API key")


def _told(method: Method) -> Method:
    """What the simulation does not find is told as a server tells it."""

    async def answer(self: Any, request: Any, context: Any) -> Any:
        try:
            return await method(self, request, context)
        except ValueError as exc:
            await context.abort(grpc.StatusCode.NOT_FOUND, str(exc))

    return answer


class _Root(wire.QdrantServicer):
    def __init__(self, held: Held) -> None:
        self.held = held

    @_told
    async def HealthCheck(self, _request: Any, _context: Any) -> Any:  # noqa: N802 - the wire's name, as below
        return wire.HealthCheckReply(title="qdrant - vector search engine", version=self.held.version)


class _Collections(wire.CollectionsServicer):
    def __init__(self, held: Held) -> None:
        self.held = held

    @_told
    async def Get(self, request: Any, _context: Any) -> Any:  # noqa: N802
        found = await self.held.memory.get_collection(request.collection_name)
        aliases = {one.alias_name: one.collection_name for one in (await self.held.memory.get_aliases()).aliases}
        there = self.held.indexed.get(aliases.get(request.collection_name, request.collection_name), {})
        found.payload_schema = {
            name: models.PayloadIndexInfo(data_type=models.PayloadSchemaType.KEYWORD, points=0) for name in there
        }
        return wire.GetCollectionInfoResponse(result=RestToGrpc.convert_collection_info(found))

    @_told
    async def List(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        there = (await self.held.memory.get_collections()).collections
        return wire.ListCollectionsResponse(collections=[wire.CollectionDescription(name=one.name) for one in there])

    @_told
    async def Create(self, request: Any, _context: Any) -> Any:  # noqa: N802
        sparse = request.sparse_vectors_config
        done = await self.held.memory.create_collection(
            request.collection_name,
            vectors_config=GrpcToRest.convert_vectors_config(request.vectors_config),
            sparse_vectors_config=GrpcToRest.convert_sparse_vector_config(sparse),
            metadata=GrpcToRest.convert_payload(request.metadata),
        )
        return wire.CollectionOperationResponse(result=done)

    @_told
    async def Delete(self, request: Any, _context: Any) -> Any:  # noqa: N802
        done = await self.held.memory.delete_collection(request.collection_name)
        return wire.CollectionOperationResponse(result=done)

    @_told
    async def ListAliases(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        there = (await self.held.memory.get_aliases()).aliases
        return wire.ListAliasesResponse(aliases=[RestToGrpc.convert_alias_description(one) for one in there])

    @_told
    async def UpdateAliases(self, request: Any, _context: Any) -> Any:  # noqa: N802
        actions = [GrpcToRest.convert_alias_operations(one) for one in request.actions]
        return wire.CollectionOperationResponse(result=await self.held.memory.update_collection_aliases(actions))


class _Points(wire.PointsServicer):
    def __init__(self, held: Held) -> None:
        self.held = held

    @_told
    async def CreateFieldIndex(self, request: Any, _context: Any) -> Any:  # noqa: N802
        keyword = request.field_index_params.keyword_index_params
        schema = {"data_type": "keyword", "params": {"type": "keyword", "is_tenant": keyword.is_tenant}, "points": 0}
        self.held.indexed.setdefault(request.collection_name, {})[request.field_name] = schema
        return _DONE

    @_told
    async def Upsert(self, request: Any, _context: Any) -> Any:  # noqa: N802
        points = [GrpcToRest.convert_point_struct(one) for one in request.points]
        await self.held.memory.upsert(request.collection_name, points)
        return _DONE

    @_told
    async def Get(self, request: Any, _context: Any) -> Any:  # noqa: N802
        ids = [GrpcToRest.convert_point_id(one) for one in request.ids]
        payload = GrpcToRest.convert_with_payload_interface(request.with_payload)
        found = await self.held.memory.retrieve(request.collection_name, ids, with_payload=payload)
        return wire.GetResponse(result=[_record(one) for one in found])

    @_told
    async def Delete(self, request: Any, _context: Any) -> Any:  # noqa: N802
        points = GrpcToRest.convert_points_selector(request.points)
        await self.held.memory.delete(request.collection_name, points_selector=points)
        return _DONE

    @_told
    async def SetPayload(self, request: Any, _context: Any) -> Any:  # noqa: N802
        points = GrpcToRest.convert_points_selector(request.points_selector)
        payload = GrpcToRest.convert_payload(request.payload)
        await self.held.memory.set_payload(request.collection_name, payload, points=points)
        return _DONE

    @_told
    async def Scroll(self, request: Any, _context: Any) -> Any:  # noqa: N802
        records, _ = await self.held.memory.scroll(
            request.collection_name,
            scroll_filter=GrpcToRest.convert_filter(request.filter),
            limit=request.limit,
            offset=GrpcToRest.convert_point_id(request.offset),
            with_payload=GrpcToRest.convert_with_payload_interface(request.with_payload),
        )
        return wire.ScrollResponse(result=[_record(one) for one in records])

    @_told
    async def Count(self, request: Any, _context: Any) -> Any:  # noqa: N802
        found = await self.held.memory.count(
            request.collection_name, count_filter=GrpcToRest.convert_filter(request.filter)
        )
        return wire.CountResponse(result=RestToGrpc.convert_count_result(found))

    @_told
    async def QueryBatch(self, request: Any, _context: Any) -> Any:  # noqa: N802
        asked = [GrpcToRest.convert_query_points(one) for one in request.query_points]
        answers = await self.held.memory.query_batch_points(request.collection_name, asked)
        return wire.QueryBatchResponse(
            result=[wire.BatchResult(result=[_scored(point) for point in answer.points]) for answer in answers]
        )


def _scored(found: models.ScoredPoint) -> Any:
    return RestToGrpc.convert_scored_point(found.model_copy(update={"payload": found.payload or {}}))


def _record(found: models.Record) -> Any:
    return RestToGrpc.convert_retrieved_point(found.model_copy(update={"payload": found.payload or {}}))


_DONE = wire.PointsOperationResponse(result=wire.UpdateResult(operation_id=0, status=wire.UpdateStatus.Completed))
