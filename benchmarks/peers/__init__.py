"""Other memories, measured on the same input in an environment of their own."""

from benchmarks.peers.mem0_ingest import measure

__all__ = ["measure"]
