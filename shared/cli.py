"""`toptank`: one name for everything an operator starts. Services run as processes of their own."""

import os
import sys

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
    "remove-totp": (["vps_service.accounts.operator", "remove-totp"], "take away the second factor of who has lost it"),
    "add-node": (["vps_service.nodes.operator", "add-node"], "let a Cloud node call the VPS, by its public key"),
    "remove-node": (["vps_service.nodes.operator", "remove-node"], "let a Cloud node call the VPS no more"),
    "reconcile": (["vps_service.nodes.operator", "reconcile"], "have the nodes compare themselves with the VPS"),
    "seed-followers": (["vps_service.followers.seed"], "add follower accounts to a teacher, for trying things out"),
    "demo": (["shared.demo"], "buy and watch a course on a running stack, and be refused where one should be"),
}
"""What each command runs, and what it is for."""

FOR_A_RUNNING_STACK = (
    "migrate",
    "create-admin",
    "confirm-contact",
    "remove-totp",
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


def main() -> None:
    """Becomes the command's own process; -P keeps whatever lies in the current folder from being imported."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(usage())
        sys.exit(0 if len(sys.argv) > 1 else 2)
    name = sys.argv[1]
    if name not in COMMANDS:
        sys.exit(f"toptank: there is no command {name}\n\n{usage()}")
    if name in FOR_A_RUNNING_STACK:
        os.environ.update(local_environment.read())
    module, _ = COMMANDS[name]
    os.execv(sys.executable, [sys.executable, "-P", "-m", *module, *sys.argv[2:]])


if __name__ == "__main__":
    main()
