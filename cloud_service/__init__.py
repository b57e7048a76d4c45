"""A Cloud node: takes uploads from verified teachers and streams to whoever the VPS says may watch."""
