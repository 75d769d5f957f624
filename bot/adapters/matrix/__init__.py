"""Matrix: rooms of a homeserver, plain or encrypted, as one account of ours sees them (matrix-nio)."""
