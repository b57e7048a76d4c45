"""The secrets of an installation: made once, for their owner alone, whole or not at all."""

import stat
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from shared.secrets import make_secrets
from shared.tokens import load_private_key, load_public_keys

NAMES = {
    *("access_key", "vps_key", "node_key", "vps_public_key", "node_public_key"),
    *("simulator_secret", "database_password", "codes_key"),
}


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_is_made_for_the_owner_alone(tmp_path: Path) -> None:
    make_secrets(tmp_path / "secrets")
    assert set(contents(tmp_path / "secrets")) == NAMES
    assert mode(tmp_path / "secrets") == 0o700
    assert {mode(path) for path in (tmp_path / "secrets").iterdir()} == {0o600}


def test_for_containers_the_files_are_readable_but_the_folder_is_not(tmp_path: Path) -> None:
    make_secrets(tmp_path / "secrets", mode=0o644)
    assert mode(tmp_path / "secrets") == 0o700
    assert {mode(path) for path in (tmp_path / "secrets").iterdir()} == {0o644}


def test_a_public_key_belongs_to_its_private_key(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    made = contents(tmp_path)
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    for name in ("vps", "node"):
        private, (public,) = load_private_key(made[f"{name}_key"]), load_public_keys(made[f"{name}_public_key"])
        assert private.public_key().public_bytes(*raw) == public.public_bytes(*raw)


def test_each_node_has_a_key_of_its_own_and_one_more_leaves_the_others_theirs(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    before = contents(tmp_path)
    make_secrets(tmp_path, nodes=3)
    after = contents(tmp_path)
    added = {f"node_{kind}_{number}" for kind in ("key", "public_key") for number in (2, 3)}
    assert set(after) == NAMES | added
    assert {name: after[name] for name in NAMES} == before
    assert len(set(after.values())) == len(after)
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    (public,) = load_public_keys(after["node_public_key_3"])
    assert load_private_key(after["node_key_3"]).public_key().public_bytes(*raw) == public.public_bytes(*raw)


def test_no_two_secrets_are_alike_in_one_installation_or_in_two(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_secrets(tmp_path / name)
    values = [*contents(tmp_path / "one").values(), *contents(tmp_path / "two").values()]
    assert len(set(values)) == 2 * len(NAMES)
    assert all(len(value) >= 43 for value in values)


def test_what_exists_is_left_alone_and_what_is_missing_is_made(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    before = contents(tmp_path)
    (tmp_path / "simulator_secret").unlink()
    (tmp_path / "node_public_key").unlink()
    make_secrets(tmp_path)
    after = contents(tmp_path)
    assert {name for name in NAMES if before[name] != after[name]} == {"simulator_secret"}


def test_what_a_crash_left_half_written_is_written_again(tmp_path: Path) -> None:
    tmp_path.joinpath(".access_key.partial").write_text("-----BEGIN PRI")
    make_secrets(tmp_path)
    load_private_key((tmp_path / "access_key").read_text())
    assert set(contents(tmp_path)) == NAMES
