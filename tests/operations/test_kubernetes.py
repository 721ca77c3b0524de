"""The Kubernetes base: rendered, validated against schemas, compared with what services read."""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import trustme
import yaml
from prometheus_client import CollectorRegistry
from sep_allocator.settings import AllocatorSettings
from sep_evaluator.settings import EvaluatorSettings
from sep_gateway.settings import GatewaySettings
from sep_guard.settings import GuardSettings
from sep_journal.settings import JournalSettings
from sep_kit.grpc.server import GrpcServer
from sep_kit.grpc.tls import DNS_NAME, TlsFiles, service_name
from sep_kit.settings.loading import load_settings

from tests.operations.kustomize import Manifest, containers_of, render

BASE = Path(__file__).parents[2] / "deploy" / "kubernetes"
MANIFESTS = render(BASE)
WITH_TLS = render(BASE, BASE / "mtls")
SERVICES = ("gateway", "evaluator", "allocator", "guard", "journal")


def of_kind(kind: str) -> dict[str, Manifest]:
    return {m["metadata"]["name"]: m for m in MANIFESTS if m["kind"] == kind}


@pytest.mark.parametrize(
    "manifest", MANIFESTS, ids=lambda m: f"{m['kind']}-{m['metadata']['name']}"
)
@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_a_manifest_fits_its_schema(manifest: Manifest, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_the_renderer_agrees_with_kustomize() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("RENDERING NOT COMPARED WITH KUSTOMIZE: kubectl is not installed")
    done = subprocess.run(
        ["kubectl", "kustomize", str(BASE)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # kustomize appends a hash to the name of the settings, so that pods restart when they change.
    text, renamed = re.subn(r"\bsep-settings-[a-z0-9]{10}\b", "sep-settings", done.stdout)
    assert renamed == 1 + len(SERVICES)

    def by_name(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
        return {(m["kind"], m["metadata"]["name"]): m for m in manifests}

    assert by_name(list(yaml.safe_load_all(text))) == by_name(MANIFESTS)


@pytest.mark.parametrize("name", [*SERVICES, "envoy"])
def test_a_pod_is_hardened_and_probed(name: str) -> None:
    pod = of_kind("Deployment")[name]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    for container in containers_of(of_kind("Deployment")[name]):
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
    for container in pod["containers"]:
        assert {"readinessProbe", "livenessProbe"} <= container.keys()


def test_liveness_checks_the_process_and_readiness_its_work() -> None:
    for name in SERVICES:
        (container,) = of_kind("Deployment")[name]["spec"]["template"]["spec"]["containers"]
        assert container["livenessProbe"]["grpc"]["service"] == "sep.ops.v1.OpsService"
        assert "service" not in container["readinessProbe"]["grpc"]


def test_writers_have_two_replicas_and_a_disruption_budget() -> None:
    budgets = of_kind("PodDisruptionBudget")
    for name in ("evaluator", "allocator", "guard", "journal", "envoy"):
        assert of_kind("Deployment")[name]["spec"]["replicas"] == 2
        assert budgets[name]["spec"]["minAvailable"] == 1
    for name, deployment in of_kind("Deployment").items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        wanted = budgets[name]["spec"]["selector"]["matchLabels"]
        assert wanted.items() <= labels.items()


def test_addresses_match_the_ports_that_services_listen_on() -> None:
    settings = of_kind("ConfigMap")["sep-settings"]["data"]
    for name in SERVICES:
        host, _, port = settings[f"{name.upper()}_ADDR"].partition(":")
        service = of_kind("Service")[host]["spec"]
        (container,) = of_kind("Deployment")[name]["spec"]["template"]["spec"]["containers"]
        assert service["ports"][0]["port"] == int(port)
        assert container["ports"][0] == {
            "name": service["ports"][0]["targetPort"],
            "containerPort": int(port),
        }
        assert {"name": "GRPC_LISTEN", "value": f"0.0.0.0:{port}"} in container["env"]
        init = containers_of(of_kind("Deployment")["envoy"])[0]
        assert {"name": f"{name.upper()}_ADDR", "value": f"{host}:{port}"} in init["env"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gateway", GatewaySettings),
        ("evaluator", EvaluatorSettings),
        ("allocator", AllocatorSettings),
        ("guard", GuardSettings),
        ("journal", JournalSettings),
    ],
)
def test_a_service_accepts_its_settings(name: str, kind: Any) -> None:
    environ = dict(of_kind("ConfigMap")["sep-settings"]["data"])
    (container,) = of_kind("Deployment")[name]["spec"]["template"]["spec"]["containers"]
    # What a secret holds is not in the manifests.
    environ |= {e["name"]: e["value"] for e in container["env"] if "value" in e}
    environ["VALKEY_URL"] = "redis://sep:from-the-secret@valkey.example.internal:6379/0"
    if name == "gateway":
        environ["OANDA_API_TOKEN"] = "from-the-secret"
    settings = load_settings(kind, environ)
    # The guard's setting alone; a halt is the default of every deployment.
    assert getattr(settings, "kill_switch", True) is True
    assert hasattr(settings, "kill_switch") == (name == "guard")
    assert settings.live_trading_enabled is False


def test_only_the_gateway_mounts_the_token() -> None:
    holders = {
        name
        for name, deployment in of_kind("Deployment").items()
        for volume in deployment["spec"]["template"]["spec"]["volumes"]
        if "sep-broker" in str(volume)
    }
    assert holders == {"gateway"}
    assert "TOKEN" not in (BASE / "settings.env").read_text()


def test_no_secret_is_in_a_pods_environment() -> None:
    for deployment in of_kind("Deployment").values():
        for container in containers_of(deployment):
            assert not any("secretKeyRef" in str(e) for e in container.get("env", []))
            assert not any("secretRef" in source for source in container.get("envFrom", []))


def test_the_settings_hold_no_url_that_carries_a_password() -> None:
    settings = of_kind("ConfigMap")["sep-settings"]["data"]
    assert "VALKEY_URL" not in settings
    assert "JOURNAL_DB_URL" not in settings
    assert not any("@" in value for value in settings.values())


@pytest.mark.parametrize(
    ("name", "kind", "required", "optional"),
    [
        ("gateway", GatewaySettings, {"valkey_url", "oanda_api_token"}, set()),
        ("evaluator", EvaluatorSettings, {"valkey_url"}, set()),
        ("allocator", AllocatorSettings, {"valkey_url"}, set()),
        ("guard", GuardSettings, {"valkey_url"}, set()),
        (
            "journal",
            JournalSettings,
            {"valkey_url", "journal_db_url"},
            {"notify_urls", "notify_heartbeat_url"},
        ),
    ],
)
def test_a_services_secrets_are_files_of_its_settings(
    name: str, kind: Any, required: set[str], optional: set[str], tmp_path: Path
) -> None:
    pod = of_kind("Deployment")[name]["spec"]["template"]["spec"]
    mounts = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    assert mounts["secrets"] == "/run/secrets"
    (volume,) = (v for v in pod["volumes"] if v["name"] == "secrets")
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for source in volume["projected"]["sources"]:
        (item,) = source["secret"]["items"]
        found[source["secret"].get("optional", False)].add(item["path"])
        url = "redis" if item["path"] == "valkey_url" else "postgresql"
        (tmp_path / item["path"]).write_text(f"{url}://sep:word@db.example/0\n")
    assert found == {False: required, True: optional}
    settings = load_settings(kind, dict(of_kind("ConfigMap")["sep-settings"]["data"]), tmp_path)
    assert settings.valkey_url == "redis://sep:word@db.example/0"
    for secret in (required | optional) - {"valkey_url"}:
        value = getattr(settings, secret).get_secret_value()
        assert value == "postgresql://sep:word@db.example/0"


def test_the_workloads_with_mutual_tls_fit_their_schema() -> None:
    for name in (*SERVICES, "envoy"):
        kubernetes_validate.validate(with_tls(name), "1.37", strict=True)


@pytest.mark.parametrize("name", SERVICES)
def test_with_mutual_tls_a_pod_probes_itself_with_its_certificate(name: str) -> None:
    pod = with_tls(name)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {"name": "tls", "mountPath": "/tls", "readOnly": True} in container["volumeMounts"]
    (volume,) = (v for v in pod["volumes"] if v["name"] == "tls")
    assert volume["secret"]["secretName"] == f"sep-tls-{name}"
    variables = {e["name"]: e["value"] for e in container["env"]}
    assert {k: v for k, v in variables.items() if k.startswith("GRPC_TLS_")} == {
        "GRPC_TLS_CERT": "/tls/tls.crt",
        "GRPC_TLS_KEY": "/tls/tls.key",
        "GRPC_TLS_CA": "/tls/ca.crt",
    }
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert "grpc" not in container[probe]
        command = container[probe]["exec"]["command"]
        own = [] if probe == "readinessProbe" else ["--service", "sep.ops.v1.OpsService"]
        assert command == ["python", "-m", "sep_kit.grpc.probe", *own]


@pytest.mark.timeout(400)
async def test_probes_succeed_under_mutual_tls_and_only_with_a_certificate(tmp_path: Path) -> None:
    """The manifest's own command, against a server that asks for certificates."""
    (container,) = with_tls("guard")["spec"]["template"]["spec"]["containers"]
    files = TlsFiles(*(tmp_path / name for name in ("tls.crt", "tls.key", "ca.crt")))
    _write_certificate(files, DNS_NAME, service_name("guard"))
    server = GrpcServer([], CollectorRegistry(), tls=files)
    port = await server.start("127.0.0.1:0")
    _, *arguments = container["livenessProbe"]["exec"]["command"]
    # The machine that runs the tests may be slower than a probe's own deadline.
    arguments += ["--timeout", "30"]
    listen = {"GRPC_LISTEN": f"0.0.0.0:{port}"}
    certificate = {
        "GRPC_TLS_CERT": str(files.cert),
        "GRPC_TLS_KEY": str(files.key),
        "GRPC_TLS_CA": str(files.ca),
    }
    try:
        await server.set_serving(serving=True)
        assert await _run(arguments, listen | certificate) == (0, "SERVING")
        assert (await _run([*arguments, "--timeout", "2"], listen))[0] == 1
    finally:
        await server.stop(0)


def with_tls(name: str) -> Manifest:
    """A Deployment with the component of mutual TLS."""
    (found,) = (m for m in WITH_TLS if (m["kind"], m["metadata"]["name"]) == ("Deployment", name))
    return found


def test_envoy_reads_its_certificate_with_mutual_tls() -> None:
    deployment = with_tls("envoy")
    init, envoy = containers_of(deployment)
    variables = {e["name"]: e["value"] for e in init["env"]}
    assert variables["GRPC_TLS_CERT"] == "/tls/tls.crt"
    for container in (init, envoy):
        assert {"name": "tls", "mountPath": "/tls", "readOnly": True} in container["volumeMounts"]
    # Its volume is readable by the group.
    assert deployment["spec"]["template"]["spec"]["securityContext"]["fsGroup"] == 10001


def _write_certificate(files: TlsFiles, *names: str) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(files.ca)
    certificate = authority.issue_cert(*names)
    certificate.private_key_pem.write_to_path(files.key)
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(files.cert, append=True)


async def _run(arguments: list[str], environ: dict[str, str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, env=environ
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode().strip()


def allowed(direction: str, name: str) -> set[int]:
    """The ports that some policy opens for the pods of a workload; each pod needs one at least."""
    ports: set[int] = set()
    labels = of_kind("Deployment")[name]["spec"]["template"]["metadata"]["labels"]
    for policy in of_kind("NetworkPolicy").values():
        selector = policy["spec"]["podSelector"]
        wanted = selector.get("matchLabels", {})
        listed = [e["values"] for e in selector.get("matchExpressions", [])]
        own = labels["app.kubernetes.io/name"]
        if wanted.items() <= labels.items() and all(own in values for values in listed):
            rules = policy["spec"].get(direction, [])
            ports |= {port["port"] for rule in rules for port in rule["ports"]}
    return ports


SERVICE_PORTS = {15051, 15052, 15053, 15054, 15055}


def test_nothing_may_connect_but_what_a_policy_names() -> None:
    spec = of_kind("NetworkPolicy")["default-deny"]["spec"]
    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    outgoing = {name: allowed("egress", name) for name in of_kind("Deployment")}
    calls = SERVICE_PORTS | {53}
    assert outgoing == {
        "gateway": calls | {6379, 443},
        "evaluator": calls | {6379},
        "allocator": calls | {6379},
        "guard": calls | {6379},
        "journal": calls | {6379, 5432, 443, 465, 587},
        "envoy": calls,
    }
    assert {allowed("ingress", name) == SERVICE_PORTS for name in SERVICES} == {True}
    assert allowed("ingress", "envoy") == {8000}


def test_a_direction_with_rules_is_named_in_its_policy() -> None:
    for name, policy in of_kind("NetworkPolicy").items():
        spec = policy["spec"]
        if name != "default-deny":
            assert {kind.lower() for kind in spec["policyTypes"]} == spec.keys() - {
                *("podSelector", "policyTypes")
            }, name


def test_a_halt_stays_possible_while_a_node_is_drained() -> None:
    """What an engage passes through: Envoy and the guard, one pod of each at any time."""
    budgets = of_kind("PodDisruptionBudget")
    for name in ("envoy", "guard"):
        deployment = of_kind("Deployment")[name]["spec"]
        assert budgets[name]["spec"]["minAvailable"] == 1
        assert deployment["replicas"] >= 2
        spread = deployment["template"]["spec"]["topologySpreadConstraints"]
        assert spread[0]["topologyKey"] == "kubernetes.io/hostname"


def test_images_are_those_of_the_compose_file() -> None:
    compose = (BASE.parents[1] / "compose.yaml").read_text()
    used = {c["image"] for d in of_kind("Deployment").values() for c in containers_of(d)}
    for image in used:
        name, _, tag = image.partition(":")
        assert re.search(
            rf"image: (\$\{{\w+:-)?{re.escape(name)}:({re.escape(tag)}|\$\{{SEP_RELEASE)", compose
        ), image


def test_kustomization_names_every_file() -> None:
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    files = {p.name for p in BASE.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed["resources"]) == files
