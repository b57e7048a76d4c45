"""The VPS service: owns users, courses, payments and keys, in PostgreSQL."""
