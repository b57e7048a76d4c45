"""Whose certificates our clients trust."""

import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    """Read once a process: there are so many that it takes tens of milliseconds."""
    return httpx.create_ssl_context(trust_env=False)
