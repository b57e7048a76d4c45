"""What an operator types, as a process of its own."""

from tests.processes import run


def toptank(*arguments: str, environment: dict[str, str], given: str = "") -> tuple[int, str]:
    """The exit code and what was said."""
    ended = run("shared.cli", *arguments, environment=environment, given=given)
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stdout + ended.stderr
