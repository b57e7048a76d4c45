"""What is raised when a process that was called does not answer."""

import httpx

NO_ANSWER = (httpx.RequestError, TimeoutError, AttributeError)
"""AttributeError is anyio's, on uvloop, of a connection that was reset in the moment it was made."""
