"""Other memories, measured on the same input in an environment of their own."""

from benchmarks.peers.mem0_ingest import mem0_rate

__all__ = ["mem0_rate"]
