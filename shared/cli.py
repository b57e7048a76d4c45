"""`toptank`: one name for everything an operator starts. Services run as processes of their own."""

import os
import sys
from argparse import ArgumentParser

from shared import local_environment

COMMANDS = {
    "up": (["shared.stack"], "run the whole stack on this machine"),
    "vps": (["vps_service"], "run the VPS service"),
    "cloud": (["cloud_service"], "run a Cloud node"),
    "worker": (["cloud_service.processing"], "make of a Cloud node's videos what players need"),
    "reprocess": (
        ["cloud_service.processing.operator"],
        "try videos of a Cloud node again that could not be processed",
    ),
    "simulator": (["vps_service.simulator"], "run the payment simulator"),
    "catcher": (["vps_service.catcher"], "run the mail catcher, which sends no mail and shows all"),
    "migrate": (["vps_service.migrate"], "bring the database to this release's schema"),
    "make-secrets": (["shared.secrets"], "write the keys and secrets that are still missing into a folder"),
    "create-admin": (["vps_service.accounts.operator", "create-admin"], "make an admin"),
    "confirm-contact": (
        ["vps_service.accounts.operator", "confirm-contact"],
        "vouch for an account's e-mail and phone",
    ),
    "reset-password": (
        ["vps_service.accounts.operator", "reset-password"],
        "give another password to who forgot theirs",
    ),
    "remove-totp": (["vps_service.accounts.operator", "remove-totp"], "take away the second factor of who has lost it"),
    "audit-trim": (["vps_service.audit.operator"], "forget what the log of sign-ins and privileged acts has of old"),
    "add-node": (["vps_service.nodes.operator", "add-node"], "let a Cloud node call the VPS, by its public key"),
    "remove-node": (["vps_service.nodes.operator", "remove-node"], "let a Cloud node call the VPS no more"),
    "reconcile": (["vps_service.nodes.operator", "reconcile"], "have the nodes compare themselves with the VPS"),
    "seed-followers": (["vps_service.followers.seed"], "add follower accounts to a teacher, for trying things out"),
    "demo": (["shared.demo"], "buy and watch a course on a running stack, and be refused where one should be"),
}
"""What each command runs, and what it is for."""

WITHOUT_ARGUMENTS = ("vps", "cloud", "worker", "simulator", "catcher", "migrate")
"""They are told by settings alone, and look at no word."""

FOR_A_RUNNING_STACK = (
    "migrate",
    "create-admin",
    "confirm-contact",
    "reset-password",
    "remove-totp",
    "audit-trim",
    "add-node",
    "remove-node",
    "reconcile",
    "reprocess",
    "seed-followers",
    "demo",
)


def usage() -> str:
    lines = [f"  {name:16} {about}" for name, (_, about) in COMMANDS.items()]
    return "\n".join(["usage: toptank COMMAND [ARGUMENTS]", "", *lines])


def chosen(words: list[str]) -> list[str]:
    """What these words after `toptank` run: a module and what it is told. Ends the process where they name nothing."""
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        sys.exit(0 if words else 2)
    name, *arguments = words
    if name not in COMMANDS:
        sys.exit(f"toptank: there is no command {name}\n\n{usage()}")
    module, about = COMMANDS[name]
    if name in WITHOUT_ARGUMENTS and arguments:
        ArgumentParser(prog=f"toptank {name}", description=about).parse_args(arguments)
    if name in FOR_A_RUNNING_STACK:
        os.environ.update(local_environment.read())
    return [*module, *arguments]


def main() -> None:
    """Becomes the command's own process; -P keeps whatever lies in the current folder from being imported."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", *chosen(sys.argv[1:])])


if __name__ == "__main__":
    main()
