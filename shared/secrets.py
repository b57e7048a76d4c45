"""`toptank make-secrets FOLDER`: every key and secret an installation needs; what exists is left alone."""

import argparse
import os
import secrets
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PRIVATE_KEYS = {
    "access_key": "signs access tokens; on the VPS only",
    "vps_key": "signs the VPS's answers to nodes; on the VPS only",
    "node_key": "signs the node's calls to the VPS; on the node only",
}
PUBLIC_KEYS = {"vps_public_key": "vps_key", "node_public_key": "node_key"}
RANDOM = ("simulator_secret", "database_password", "codes_key")


def of_node(name: str, number: int) -> str:
    """The file of the `number`-th node's key: node_key is the first one's, node_key_2 the next one's."""
    return name if number == 1 else f"{name}_{number}"


def make_secrets(folder: Path, *, nodes: int = 1, mode: int = 0o600) -> None:
    """Writes the missing ones. The folder is for its owner alone, whatever `mode` its files have."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    more = {of_node("node_public_key", number): of_node("node_key", number) for number in range(2, nodes + 1)}
    for name in (*PRIVATE_KEYS, *more.values()):
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write_once(folder / name, pem.decode(), mode)
    for name, private in (PUBLIC_KEYS | more).items():
        key_pem = (folder / private).read_bytes()
        public = serialization.load_pem_private_key(key_pem, password=None).public_key()
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        _write_once(folder / name, pem.decode(), mode)
    for name in RANDOM:
        _write_once(folder / name, secrets.token_urlsafe(32), mode)


def _write_once(path: Path, content: str, mode: int) -> None:
    """Whole or not at all: a secret that was cut short would lock the installation out of its own data."""
    if path.exists():
        return
    partial = path.with_name(f".{path.name}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(content)
        os.fsync(file.fileno())
    partial.chmod(mode)
    partial.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="toptank make-secrets", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--for-containers",
        action="store_true",
        help="make the files readable for other users, as file-based compose secrets need; the folder is not",
    )
    parser.add_argument("--nodes", type=int, default=1, help="how many Cloud nodes need a key")
    arguments = parser.parse_args()
    make_secrets(arguments.folder, nodes=arguments.nodes, mode=0o644 if arguments.for_containers else 0o600)
    sys.stdout.write(f"keys and secrets are in {arguments.folder}\n")


if __name__ == "__main__":
    main()
