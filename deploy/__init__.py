"""What brings Weavebot and its servers up on a machine."""
