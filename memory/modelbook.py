"""Which embedding model made the stored vectors: recorded at first use, compared at each start."""

from __future__ import annotations

from sqlalchemy import func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.errors import ModelMismatch
from memory.models import Priority
from memory.ports import Clock, Database, Embedder
from memory.records import ModelKey
from memory.reflection import queue
from memory.tables import embeddings, index_outbox, messages, models, sessions


async def current_model(database: Database, embedder: Embedder, clock: Clock) -> ModelKey:
    """The key of the embedder's model. Raises ModelMismatch when another model made the vectors that are there."""
    known = select(models).where(models.c.current)
    async with database.read() as conn:
        row = (await conn.execute(known)).one_or_none()
    if row is not None and row.name == embedder.model:
        return ModelKey(row.id, embedder.dim, embedder.state_dim)
    async with database.write(alone=True) as conn:
        row = (await conn.execute(known)).one_or_none()
        if row is not None and row.name != embedder.model:
            count = (await conn.execute(select(func.count()).select_from(embeddings))).scalar_one()
            raise ModelMismatch(
                f"the {count} stored vectors were made by {row.name}, this is {embedder.model}: "
                "configure the former, or embed everything anew with `weavebot reindex --model`"
            )
        if row is not None:
            return ModelKey(row.id, embedder.dim, embedder.state_dim)
        return ModelKey(await _record(conn, embedder.model, clock), embedder.dim, embedder.state_dim)


async def change_model(database: Database, embedder: Embedder, clock: Clock) -> ModelKey:
    """From now on this embedder's model is the current one, and every message waits to be embedded by it."""
    async with database.write(alone=True) as conn:
        await conn.execute(update(models).values(current=False))
        known = (await conn.execute(select(models.c.id).where(models.c.name == embedder.model))).scalar()
        if known is None:
            known = await _record(conn, embedder.model, clock)
        await conn.execute(update(models).where(models.c.id == known).values(current=True))
        waiting = select(index_outbox.c.message_serial)
        later = (literal(0), literal(int(Priority.HISTORY)))
        missing = select(messages.c.serial, messages.c.revision, *later).where(messages.c.serial.not_in(waiting))
        columns = ["message_serial", "revision", "attempts", "priority"]
        await conn.execute(insert(index_outbox).from_select(columns, missing))
        await conn.execute(embeddings.delete().where(embeddings.c.model_id != known))
        await queue.put_sessions(conn, sessions.c.ended_at.is_not(None), clock.now())  # summaries rest on the vectors
    return ModelKey(int(known), embedder.dim, embedder.state_dim)


async def _record(conn: AsyncConnection, name: str, clock: Clock) -> int:
    made = await conn.execute(
        insert(models).values(name=name, current=True, created_at=clock.now()).returning(models.c.id)
    )
    return int(made.scalar_one())
