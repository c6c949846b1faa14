"""Images reach a registry through skopeo under their own digests, and each refusal is told with its cause."""

from __future__ import annotations

import ipaddress
import json
import os
from pathlib import Path

import pytest
from cryptography import x509
from module_utils.metalworks.images import registry as module
from module_utils.metalworks.images.names import in_registry
from module_utils.metalworks.images.oci import LAYER, LAYER_ZSTD, MANIFEST, BlobStore, store_image
from module_utils.metalworks.images.record import Record
from module_utils.metalworks.images.registry import (
    DeniedError,
    Registry,
    RegistryError,
    innermost,
    last_words,
    plan,
)
from tests.support.certificates import self_signed
from tests.support.registry import serving


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def image(store: BlobStore, name: str, *layers: bytes, media_type: str = LAYER) -> Record:
    blobs = [store.put(layer, media_type) for layer in layers]
    config = {"os": "linux", "architecture": "amd64", "name": name}
    return store_image(store, name, f"metalworks.local/{name}:1", name, config, blobs)


def push(registry: Registry, store: BlobStore, record: Record) -> None:
    registry.push(in_registry(record.reference, registry.address, "m"), record, store)


def test_an_image_is_pushed_unless_its_name_means_the_same_manifest(store: BlobStore) -> None:
    one, two, three = (image(store, name) for name in ("one", "two", "three"))
    wanted = [("r/one:1", one), ("r/two:1", two), ("r/three:1", three)]
    found = {"r/one:1": one.manifest_digest, "r/two:1": "sha256:another"}
    assert plan(wanted, found) == wanted[1:]


@pytest.mark.parametrize("auth", ["", "basic", "bearer"])
def test_an_image_keeps_digest_and_media_types_whatever_the_login(store: BlobStore, auth: str) -> None:
    # Not compressed, and compressed by zstd: skopeo would compress the first, and must not.
    plain, packed = image(store, "one", b"base"), image(store, "two", b"top", media_type=LAYER_ZSTD)
    with serving(auth=auth) as state, Registry(state.address, "ada", "secret") as registry:
        assert registry.digest(f"{state.address}/m/one:1") == ""
        push(registry, store, plain)
        push(registry, store, packed)
        assert state.manifests == {
            ("m/one", "1"): (plain.manifest_digest, MANIFEST),
            ("m/two", "1"): (packed.manifest_digest, MANIFEST),
        }
        assert state.blobs["m/two"] == {blob.digest for blob in packed.blobs[1:]}
        assert registry.digest(f"{state.address}/m/one:1") == plain.manifest_digest


def test_a_layer_that_the_registry_has_is_not_sent_again(store: BlobStore) -> None:
    one = image(store, "one", b"base")
    two = store_image(store, "one", "metalworks.local/one:2", "two", {"os": "linux"}, list(one.blobs[2:]))
    with serving() as state, Registry(state.address) as registry:
        push(registry, store, one)
        assert state.asked["upload"] == 2  # its configuration and its layer
        push(registry, store, two)
        assert state.asked["upload"] == 3


def test_a_layer_of_another_repository_is_mounted(store: BlobStore) -> None:
    one, two = image(store, "one", b"base"), image(store, "two", b"base")
    with serving() as state, Registry(state.address) as registry:
        push(registry, store, one)
        push(registry, store, two)
        assert (state.asked["upload"], state.asked["mount"]) == (3, 1)


def test_a_copy_whose_connection_breaks_is_tried_again(store: BlobStore) -> None:
    with serving(breaks=1) as state, Registry(state.address) as registry:
        push(registry, store, image(store, "one", b"layer"))
        assert state.manifests


def test_a_registry_that_alters_what_it_is_sent_is_named(store: BlobStore) -> None:
    with (
        serving(alters=True) as state,
        Registry(state.address) as registry,
        pytest.raises(RegistryError, match=r"answers sha256:\w+ for .*/m/one:1, and was given"),
    ):
        push(registry, store, image(store, "one"))


@pytest.mark.parametrize("auth", ["basic", "bearer"])
@pytest.mark.parametrize(
    ("login", "says"),
    [
        (("ada", "not-it"), "does not let ada in: username or password in metalworks_registry is wrong"),
        (("", ""), "wants a login: write username and password into metalworks_registry"),
    ],
)
def test_a_wrong_login_is_named_without_the_password(
    store: BlobStore, auth: str, login: tuple[str, str], says: str
) -> None:
    with serving(auth=auth) as state, Registry(state.address, *login) as registry:
        with pytest.raises(DeniedError, match=says) as asked:
            registry.digest(f"{state.address}/m/one:1")
        with pytest.raises(DeniedError, match=says) as pushed:
            push(registry, store, image(store, "one"))
    assert "not-it" not in f"{asked.value}{pushed.value}"


def test_the_login_is_in_no_command_line_and_goes_with_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: BlobStore
) -> None:
    program = tmp_path / "skopeo"
    program.write_text(
        "#!/bin/sh\nfor word; do case $word in --authfile=*) file=${word#*=};; esac; done\n"
        f'echo "$@" >> {tmp_path}/said; stat -c "%a %n" "$file" "${{file%/*}}" >> {tmp_path}/rights\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    ca = self_signed(tmp_path / "ca.pem").read_text()
    with Registry("r.example", "ada", "s3cret", ca) as registry, pytest.raises(RegistryError):
        push(registry, store, image(store, "one"))
    assert "s3cret" not in (tmp_path / "said").read_text()
    rights = [line.split() for line in (tmp_path / "rights").read_text().splitlines()]
    assert {mode for mode, _ in rights} == {"600", "700"}
    assert not any(Path(path).exists() for _, path in rights)


def test_the_operators_own_logins_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(auth="basic") as state:
        (tmp_path / ".docker").mkdir()
        logins = {"auths": {state.address: {"auth": "YWRhOnNlY3JldA=="}}}
        (tmp_path / ".docker" / "config.json").write_text(json.dumps(logins))
        monkeypatch.setenv("HOME", str(tmp_path))
        with Registry(state.address) as registry, pytest.raises(DeniedError, match="wants a login"):
            registry.digest(f"{state.address}/m/one:1")


def test_a_registry_that_may_only_be_read_is_named(store: BlobStore) -> None:
    says = "does not let somebody without a login write to .*/m/one:1: .* It says: unsupported"
    with (
        serving(read_only=True) as state,
        Registry(state.address) as registry,
        pytest.raises(DeniedError, match=says),
    ):
        push(registry, store, image(store, "one", b"layer"))


def test_nobody_there_is_told_from_a_registry_that_refuses() -> None:
    with serving() as state:
        address = state.address
    says = r"cannot be reached: connection refused. Is metalworks_registry.addr"
    with Registry(address) as registry, pytest.raises(RegistryError, match=says):
        registry.digest(f"{address}/m/one:1")


def test_a_ca_that_is_none_is_refused_before_anybody_is_asked() -> None:
    junk = "-----BEGIN CERTIFICATE-----\njunk\n-----END CERTIFICATE-----\n"
    with (
        pytest.raises(RegistryError, match=r"metalworks_registry\.ca is no certificate in PEM"),
        Registry("registry.invalid:5000", ca=junk),
    ):
        pass


def test_who_signed_the_registrys_certificate_has_to_be_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "is_loopback", lambda _: False)
    here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    right, wrong = (self_signed(tmp_path / name, here) for name in ("right", "wrong"))
    other = self_signed(tmp_path / "other", x509.DNSName("registry.example"))
    unknown = "is not trusted: write the PEM text of the CA that signed it into metalworks_registry.ca"
    with serving(right) as state:
        name = f"{state.address}/m/one:1"
        with Registry(state.address, ca=right.read_text()) as registry:
            assert registry.digest(name) == ""
        for ca in (wrong.read_text(), ""):
            with Registry(state.address, ca=ca) as registry, pytest.raises(RegistryError, match=unknown):
                registry.digest(name)
    with (
        serving(other) as state,
        Registry(state.address, ca=other.read_text()) as registry,
        pytest.raises(RegistryError, match="does not fit: renew it there"),
    ):
        registry.digest(f"{state.address}/m/one:1")
    with (
        serving() as state,
        Registry(state.address) as registry,
        pytest.raises(RegistryError, match="does not speak TLS"),
    ):
        registry.digest(f"{state.address}/m/one:1")


def test_without_skopeo_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with Registry("r.example") as registry, pytest.raises(RegistryError, match="apt-get install skopeo"):
        registry.digest("r.example/one:1")


# What other registries and other versions say, in skopeo's words.


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("reading manifest 1 in r/m: StatusCode: 404, <html>", ""),
        ("reading manifest 1 in r/m: name unknown: repository name not known to registry", ""),
        ("reading manifest 1 in r/m: unknown: artifact m/one:1 not found", ""),
        ("reading manifest 1 in r/m: name unknown: The repository with name 'm' does not exist", ""),
        ("requested access to the resource is denied", "does not let ada write to r/m:1: .* is denied"),
        (
            "Requesting bearer token: invalid status code from registry 403 (Forbidden)",
            "does not let ada write to r/m:1",
        ),
        (
            "pinging container registry r: received unexpected HTTP status: 503 Service Unavailable",
            "failed, and",
        ),
        ("uploading layer chunked: StatusCode: 500, oops", "failed, and may recover"),
        ("initializing destination: toomanyrequests: slow down", "failed, and may recover: slow down"),
        (
            'writing blob: Patch "https://r/v2/": context deadline exceeded',
            "cannot be reached: context deadline",
        ),
        ("dial tcp: lookup r on 10.0.0.1:53: no such host", "cannot be reached: no such host"),
        ("http: server gave HTTP response to HTTPS client", "does not speak TLS"),
        ("x509: certificate has expired or is not yet valid: current time 2026", "does not fit: renew it"),
        ("x509: “registry” certificate is not trusted", "is not trusted: write the PEM"),
        ("something that nobody has seen", "did not take or show r/m:1: something that nobody has seen"),
    ],
)
def test_causes_are_told_from_the_errors_content(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, means: str
) -> None:
    program = tmp_path / "skopeo"
    program.write_text(
        f"#!/bin/sh\ncat >&2 <<'END'\ntime=\"x\" level=fatal msg={json.dumps(said)}\nEND\nexit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with Registry("r", "ada", "secret") as registry:
        if means:
            with pytest.raises(RegistryError, match=means):
                registry.digest("r/m:1")
        else:
            assert registry.digest("r/m:1") == ""


@pytest.mark.parametrize(
    ("stderr", "last"),
    [
        (b'time="x" level=warning msg="a"\ntime="x" level=fatal msg="it is \\"b\\": c\\n"\n', 'it is "b": c'),
        (b"warning\nFATA[0000] plain words\n", "FATA[0000] plain words"),
        (b"", "skopeo ended without a word"),
    ],
)
def test_what_it_ended_with(stderr: bytes, last: str) -> None:
    assert last_words(stderr) == last


def test_the_innermost_error_is_shown() -> None:
    assert (
        innermost("writing blob: dial tcp 10.0.0.1:5000: connect: connection refused") == "connection refused"
    )
