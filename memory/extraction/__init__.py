"""What a message says besides its words: entities, dates, chunks."""
