"""Tests on real servers: `make test-services` starts them."""
