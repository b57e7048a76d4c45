"""Tests mirror the packages; `both/` runs the two services as processes."""
