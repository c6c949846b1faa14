"""What is pushed to a registry, how it asks to be let in, and what its refusals mean."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from module_utils.metalworks.images import registry as module
from module_utils.metalworks.images.oci import LAYER, MANIFEST, BlobStore, Record, store_image
from module_utils.metalworks.images.registry import (
    Registry,
    RegistryError,
    Step,
    is_loopback,
    plan,
    pushed,
    target,
)
from tests.support.registry import serving

OURS = "metalworks.local/hub:5.5.0-f0a64477"


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path)


def image(store: BlobStore, name: str, *layers: bytes) -> Record:
    blobs = [store.put(layer, LAYER) for layer in layers]
    return store_image(store, name, f"metalworks.local/{name}:1", name, {"os": "linux", "name": name}, blobs)


@pytest.mark.parametrize(
    ("reference", "address", "repository", "expected"),
    [
        (OURS, "r.example:5000", "metalworks", "r.example:5000/metalworks/hub:5.5.0-f0a64477"),
        (OURS, "r.example", "a/b", "r.example/a/b/hub:5.5.0-f0a64477"),
        (OURS, "r.example", "", "r.example/hub:5.5.0-f0a64477"),
        ("quay.example/hub:4", "r.example", "metalworks", "quay.example/hub:4"),
    ],
)
def test_only_images_of_our_own_get_the_registry_s_name(
    reference: str, address: str, repository: str, expected: str
) -> None:
    assert pushed(reference, address, repository) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [("localhost:5000", True), ("127.0.0.1", True), ("[::1]:5000", True), ("r.example:5000", False)],
)
def test_only_a_registry_of_this_computer_may_be_without_tls(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


def test_a_shared_layer_is_sent_once_and_mounted_after(store: BlobStore) -> None:
    one, two = image(store, "one", b"base"), image(store, "two", b"base", b"top")
    base, top = (store.put(content, LAYER) for content in (b"base", b"top"))
    assert plan([target(one, "m"), target(two, "m")], {}, []) == [
        Step("m/one", one.blobs[1]),
        Step("m/one", base),
        Step("m/one", one.manifest, tag="1"),
        Step("m/two", two.blobs[1]),
        Step("m/two", base, source="m/one"),
        Step("m/two", top),
        Step("m/two", two.manifest, tag="1"),
    ]


def test_what_is_there_is_left_alone_and_lends_its_layers(store: BlobStore) -> None:
    one, two = image(store, "one", b"base"), image(store, "two", b"base")
    there = [("m/one", blob.digest) for blob in one.blobs]
    steps = plan([target(one, "m"), target(two, "m")], {("m/one", "1"): one.manifest_digest}, there)
    assert [(step.repository, step.source, step.tag) for step in steps] == [
        ("m/two", "", ""),  # its configuration
        ("m/two", "m/one", ""),
        ("m/two", "", "1"),
    ]


@pytest.mark.parametrize("auth", ["", "basic", "bearer"])
def test_a_push_keeps_digest_and_media_type_whatever_the_login(store: BlobStore, auth: str) -> None:
    one, two = image(store, "one", b"base"), image(store, "two", b"base")
    with serving(auth=auth) as state:
        registry = Registry(state.address, "ada", "secret")
        for step in plan([target(one, "m"), target(two, "m")], {}, []):
            registry.take(step, store)
        assert state.manifests == {
            ("m/one", "1"): (one.manifest_digest, MANIFEST),
            ("m/two", "1"): (two.manifest_digest, MANIFEST),
        }
        assert (state.asked["upload"], state.asked["mount"]) == (3, 1)
        assert registry.digest("m/one", "1") == one.manifest_digest
        assert registry.digest("m/one", "2") == ""
        assert registry.has("m/two", one.blobs[2].digest)


def test_a_layer_is_sent_again_when_the_connection_breaks(store: BlobStore) -> None:
    step = Step("m/one", store.put(b"layer", LAYER))
    with serving(breaks=2) as state:
        Registry(state.address).take(step, store)
        assert state.asked["upload"] == 3
    with serving(breaks=3) as state, pytest.raises(RegistryError, match="cannot be reached"):
        Registry(state.address).take(step, store)


def test_a_registry_that_alters_what_it_is_sent_is_named(store: BlobStore) -> None:
    one = image(store, "one")
    with serving(alters=True) as state, pytest.raises(RegistryError, match="answers sha256:x for m/one:1"):
        Registry(state.address).take(Step("m/one", one.manifest, tag="1"), store)


@pytest.mark.parametrize("auth", ["basic", "bearer"])
@pytest.mark.parametrize(
    ("login", "says"),
    [
        (("ada", "wrong"), "does not let ada in: username or password in metalworks_registry is wrong"),
        (("", ""), "wants a login: write username and password into metalworks_registry"),
    ],
)
def test_a_wrong_login_is_named_without_the_password(auth: str, login: tuple[str, str], says: str) -> None:
    with serving(auth=auth) as state, pytest.raises(RegistryError, match=says) as refused:
        Registry(state.address, *login).has("m/one", "sha256:1")
    assert "wrong," not in str(refused.value).replace("is wrong,", "")


def test_a_registry_that_may_only_be_read_is_named(store: BlobStore) -> None:
    says = "does not let somebody without a login write to m/one: .* It says: The operation is unsupported."
    with serving(read_only=True) as state, pytest.raises(RegistryError, match=says):
        Registry(state.address).take(Step("m/one", store.put(b"layer", LAYER)), store)


def test_nobody_there_is_told_from_a_registry_that_refuses() -> None:
    with serving() as state:
        address = state.address
    with pytest.raises(
        RegistryError, match=r"cannot be reached: Connection refused. Is metalworks_registry.addr"
    ):
        Registry(address).has("m/one", "sha256:1")


def test_a_ca_that_is_none_is_refused_before_anybody_is_asked() -> None:
    with pytest.raises(RegistryError, match=r"metalworks_registry\.ca is no certificate in PEM"):
        Registry("registry.invalid:5000", ca="-----BEGIN CERTIFICATE-----\njunk\n-----END CERTIFICATE-----\n")


def certificate(folder: Path, name: str) -> Path:
    """A certificate that signs itself, with its key, for this computer's address."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


def test_who_signed_the_registrys_certificate_has_to_be_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "is_loopback", lambda _: False)
    right, wrong = certificate(tmp_path, "right"), certificate(tmp_path, "wrong")
    says = "is not trusted: write the PEM text of the CA that signed it into metalworks_registry.ca"
    with serving(right) as state:
        with Registry(state.address, ca=right.read_text()) as registry:
            assert not registry.has("m/one", "sha256:1")
        for ca in (wrong.read_text(), ""):
            with Registry(state.address, ca=ca) as registry, pytest.raises(RegistryError, match=says):
                registry.has("m/one", "sha256:1")
    with serving() as state, pytest.raises(RegistryError, match="does not speak TLS"):
        Registry(state.address).has("m/one", "sha256:1")
