"""Publishing, resolving, verifying."""

from __future__ import annotations

import logging
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tidegate.errors import (
    AlreadyExistsError,
    InputError,
    IntegrityError,
    NotFoundError,
    StateError,
    StorageError,
)
from tidegate.registry import Alias, Bundle, Registry, VersionRecord
from tidegate.storage import FolderStore, Log

Make = Callable[..., Bundle]
GOLDEN = Path(__file__).parent.parent / "golden" / "registry"


def test_publish_and_resolve(registry: Registry, make: Make) -> None:
    first, second = make("1.0.0"), make("1.1.0", model=b"another")
    assert registry.publish(first, alias="champion") == first.digest
    registry.publish(second.path)
    for reference, version in [
        ("m", "1.1.0"),
        ("m@1.0.0", "1.0.0"),
        ("m@champion", "1.0.0"),
        (f"m@{second.digest}", "1.1.0"),
    ]:
        record = registry.resolve(reference)
        assert (record.name, record.version) == ("m", version)
        bundle = registry.open(reference)
        assert bundle.registered
        assert bundle.version == version
        assert bundle.verify().manifest_verified
        assert registry.verify(reference).manifest_verified
    record, manifest = registry.show("m@champion")
    assert manifest == first.manifest
    assert record.digest == first.digest


def test_a_bare_name_is_the_highest_release(registry: Registry, make: Make) -> None:
    registry.publish(make("2.0.0-rc.1"))
    assert registry.resolve("m").version == "2.0.0-rc.1"
    for version in ("1.9.0", "1.10.0", "2.0.0-rc.2"):
        registry.publish(make(version))
    assert registry.resolve("m").version == "1.10.0"
    versions = [record.version for record in registry.versions("m")]
    assert versions == ["2.0.0-rc.2", "2.0.0-rc.1", "1.10.0", "1.9.0"]


def test_a_version_is_published_once(registry: Registry, make: Make) -> None:
    first = make()
    registry.publish(first)
    with pytest.raises(AlreadyExistsError, match="with the same files: versions never change"):
        registry.publish(first)
    with pytest.raises(AlreadyExistsError, match=f"as {first.digest}"):
        registry.publish(make(model=b"another"))
    assert registry.open("m").read("model.onnx") == b"a model"


def test_what_is_not_there_is_named_with_what_is(registry: Registry, make: Make) -> None:
    with pytest.raises(NotFoundError, match="no model 'm': it holds no models"):
        registry.resolve("m")
    registry.publish(make(), alias="champion")
    with pytest.raises(NotFoundError, match="no model 'x': it holds m"):
        registry.open("x@1.0.0")
    with pytest.raises(NotFoundError, match=r"no version '2.0.0': it has 1.0.0"):
        registry.resolve("m@2.0.0")
    with pytest.raises(NotFoundError, match="no alias 'loser': it has champion"):
        registry.resolve("m@loser")
    with pytest.raises(NotFoundError, match="no bundle with digest"):
        registry.verify("m@sha256:" + "0" * 64)
    with pytest.raises(NotFoundError):
        registry.alias("m", "champion", version="2.0.0")
    with pytest.raises(InputError):
        registry.alias("m", "1st", version="1.0.0")


def test_aliases_move_and_remember(registry: Registry, make: Make) -> None:
    for version in ("1.0.0", "1.1.0"):
        registry.publish(make(version), alias="champion")
    registry.alias("m", "champion", version="1.0.0")
    registry.alias("m", "challenger", version="1.1.0")
    assert [entry.version for entry in registry.history("m", "champion")] == [
        "1.0.0",
        "1.1.0",
        "1.0.0",
    ]
    assert {alias.alias: alias.version for alias in registry.aliases("m")} == {
        "challenger": "1.1.0",
        "champion": "1.0.0",
    }
    assert registry.history("m", "absent") == ()
    (listing,) = registry.list()
    assert listing.name == "m"
    assert [type(alias) for alias in listing.aliases] == [Alias, Alias]


def test_a_wrong_alias_is_refused_before_anything_is_published(
    registry: Registry, make: Make
) -> None:
    with pytest.raises(InputError, match="alias"):
        registry.publish(make(), alias="1.0.0")
    assert registry.list() == ()


def test_pull_copies_and_verifies(registry: Registry, make: Make, tmp_path: Path) -> None:
    registry.publish(make())
    bundle = registry.pull("m", tmp_path / "copy")
    assert bundle.path == tmp_path / "copy"
    assert bundle.verify().manifest_verified
    with pytest.raises(InputError, match="there already"):
        registry.pull("m", tmp_path / "copy")
    damage(registry, "m", "model.onnx")
    with pytest.raises(IntegrityError, match=r"model\.onnx"):
        registry.pull("m", tmp_path / "second")
    assert not (tmp_path / "second").exists()
    assert not list(tmp_path.glob(".second*"))


def damage(registry: Registry, reference: str, name: str) -> None:
    path = registry.open(reference).path / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.unlink()
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["model.onnx", "card.md"])
def test_a_flipped_byte_of_a_file_is_found(registry: Registry, make: Make, name: str) -> None:
    registry.publish(make())
    damage(registry, "m", name)
    with pytest.raises(IntegrityError, match=f"{name} was changed"):
        registry.verify("m")
    with pytest.raises(IntegrityError, match=name):
        registry.open("m").verify()


def test_the_manifest_is_held_against_the_version_record(registry: Registry, make: Make) -> None:
    registry.publish(make())
    damage(registry, "m", "manifest.json")
    for attempt in (registry.verify, registry.open, registry.show):
        with pytest.raises(IntegrityError, match=r"manifest\.json"):
            attempt("m")


def test_a_consistent_forgery_is_found(registry: Registry, make: Make) -> None:
    """Files and manifest agree with each other, but not with the record."""
    registry.publish(make())
    folder = registry.open("m").path
    shutil.rmtree(folder)
    shutil.copytree(make(model=b"forged").path, folder)
    Bundle.open(folder).verify()
    with pytest.raises(IntegrityError, match="manifest"):
        registry.verify("m")


def test_a_missing_or_strange_file_is_found(registry: Registry, make: Make) -> None:
    registry.publish(make())
    folder = registry.open("m").path
    (folder / "stranger").write_bytes(b"")
    (folder / "card.md").unlink()
    with pytest.raises(IntegrityError, match=r"card\.md is missing; 'stranger'"):
        registry.verify("m")


def test_a_record_of_another_version_is_refused(registry: Registry, make: Make) -> None:
    registry.publish(make())
    versions = Path(registry.location) / "models" / "m" / "versions"
    shutil.copy(versions / "1.0.0.json", versions / "1.0.1.json")
    with pytest.raises(StateError, match=r"is the record of m@1.0.0"):
        registry.resolve("m@1.0.1")


def test_a_tampered_bundle_is_not_published(registry: Registry, make: Make) -> None:
    bundle = make()
    (bundle.path / "model.onnx").write_bytes(b"a modex")
    with pytest.raises(IntegrityError, match=r"model\.onnx"):
        registry.publish(bundle)
    assert registry.list() == ()


def test_a_foreign_file_in_the_place_of_a_bundle_is_named(registry: Registry, make: Make) -> None:
    bundle = make()
    place = Path(registry.location) / "bundles" / bundle.digest.removeprefix("sha256:")
    place.mkdir(parents=True)
    (place / "model.onnx").write_bytes(b"half")
    with pytest.raises(IntegrityError, match="remove that folder and publish again"):
        registry.publish(bundle)
    assert registry.list() == ()
    shutil.rmtree(place)
    registry.publish(bundle)


def test_a_registry_opened_for_reading_refuses_to_write(registry: Registry, make: Make) -> None:
    registry.publish(make())
    reader = Registry(registry.location, read_only=True)
    assert reader.resolve("m").version == "1.0.0"
    with pytest.raises(StorageError, match="read-only"):
        reader.publish(make("1.0.1"))
    with pytest.raises(StorageError, match="read-only"):
        reader.alias("m", "x", version="1.0.0")


def test_the_written_forms() -> None:
    data = (GOLDEN / "version.json").read_bytes()
    record = VersionRecord.parse(data, name="flight-delay", version="1.4.2", place="it")
    assert record.to_json(nonce="00112233445566778899aabbccddeeff") == data
    assert record.digest == "sha256:" + "ab" * 32
    newer = data.replace(b'"version":1', b'"version":2')
    with pytest.raises(StateError, match="upgrade tidegate"):
        VersionRecord.parse(newer, name="flight-delay", version="1.4.2", place="it")


def test_the_written_form_of_an_alias(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.create(
        "models/flight-delay/aliases/champion/000000000001.json",
        (GOLDEN / "alias.json").read_bytes(),
    )
    store.create("models/flight-delay/versions/1.4.2.json", (GOLDEN / "version.json").read_bytes())
    registry = Registry(store)
    assert registry.resolve("flight-delay@champion").version == "1.4.2"
    last = Log(store, "models/flight-delay/aliases/champion").last()
    assert last is not None
    assert last.nonce == "00112233445566778899aabbccddeeff"


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with urllib.request.urlopen(urllib.request.Request(f"{endpoint}/models", method="PUT")):
        pass
    yield endpoint
    server.stop()


def test_an_object_store(s3_endpoint: str, make: Make, tmp_path: Path) -> None:
    def opened() -> Registry:
        return Registry(
            "s3://models/prod",
            cache=tmp_path / "cache",
            endpoint=s3_endpoint,
            region="us-east-1",
            access_key_id="test",
            secret_access_key="test",
        )

    registry = opened()
    bundle = make()
    registry.publish(bundle, alias="champion")
    with pytest.raises(AlreadyExistsError):
        opened().publish(make(model=b"another"))
    reader = opened()
    assert reader.resolve("m@champion").digest == bundle.digest
    assert reader.verify("m").files == 2
    fetched = reader.open("m@champion")
    assert fetched.path.parent == tmp_path / "cache"
    assert fetched.verify().manifest_verified
    assert reader.open("m").path == fetched.path
    # A damaged cache is fetched again.
    (fetched.path / "model.onnx").write_bytes(b"broken!")
    assert reader.open("m").read("model.onnx") == b"a model"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [fetched.path.name]
    reader.pull("m", tmp_path / "copy").verify()
    assert [listing.name for listing in reader.list()] == ["m"]
