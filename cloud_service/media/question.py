"""The question that a process is asked which `asking` started; apart from that, as it has little to load."""

import json
import sys


def asked() -> list[str]:
    """What it is about. The process ends here if nobody wants to know anything any more."""
    question = sys.stdin.readline()
    if not question:
        sys.exit()
    arguments: list[str] = json.loads(question)
    return arguments
