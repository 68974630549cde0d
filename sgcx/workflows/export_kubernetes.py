"""A plan as Kubernetes manifests: engines, and one gateway before them that alone can reach them.

One machine for each replica is a StatefulSet, whose names the router knows; several are a LeaderWorkerSet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.plan import LaunchPlan
from sgcx.workflows.export_plan import (
    API_KEY_PATH,
    CHAT_TEMPLATE_PATH,
    DOCKERFILE,
    ENGINE_PORT,
    GATEWAY_PORT,
    HEADER,
    ROUTER_PORT,
    SGCX_HOME,
    ExportFile,
    ExportOptions,
    chat_template,
    container_command,
    engine_image,
    gateway_arguments,
    to_yaml,
)

Manifest = dict[str, object]
_OWNER_READS = 0o400
_MEETING_PORT = 20000
_SECRET_COMMENT = (
    "# First: kubectl create secret generic {name} --from-file=api-key=FILE\n"
    "# The gateway's image is made from the Dockerfile; weights are kept on each node.\n"
)


def kubernetes_files(plan: LaunchPlan, options: ExportOptions, paths: Paths) -> tuple[ExportFile, ...]:
    if plan.node_count > 1 and options.replicas > 1:
        raise UserError("--replicas is for plans of one machine each", hint="Raise `replicas` of the LeaderWorkerSet")
    name = _object_name(options.name)
    template = chat_template(plan)
    engine_pod = _engine_pod(plan, options, paths, name)
    engines = (
        _stateful_set(name, options.replicas, engine_pod)
        if plan.node_count == 1
        else _leader_worker_set(name, plan.node_count, engine_pod)
    )
    configs = [] if template is None else [_config_map(name, template)]
    documents = [*configs, engines, _engine_service(name, plan), _engine_wall(name, plan)]
    documents += [_state_claim(name), _gateway(plan, options, name), _gateway_service(name)]
    text = HEADER + _SECRET_COMMENT.format(name=name) + to_yaml(*documents)
    return ExportFile(f"{name}.yaml", text), ExportFile("Dockerfile", DOCKERFILE)


def _object_name(name: str) -> str:
    return "sgcx-" + re.sub(r"[^a-z0-9-]", "-", name.lower())


def _engine_labels(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": "sglang", "app.kubernetes.io/instance": name}


def _gateway_labels(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": "sgcx-gateway", "app.kubernetes.io/instance": name}


def _engine_pod(plan: LaunchPlan, options: ExportOptions, paths: Paths, name: str) -> Manifest:
    """Of several machines each gets the same command; what differs comes from the LeaderWorkerSet."""
    command = container_command(plan, options, paths, host="0.0.0.0")
    argv = [*command.argv] if plan.node_count == 1 else _for_any_node(command.argv)
    mounts: list[Manifest] = [
        {"name": "weights", "mountPath": "/root/.cache/huggingface"},
        {"name": "shared-memory", "mountPath": "/dev/shm"},
    ]
    volumes: list[Manifest] = [
        {"name": "weights", "hostPath": {"path": "/var/lib/huggingface", "type": "DirectoryOrCreate"}},
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "32Gi"}},
    ]
    if chat_template(plan) is not None:
        mounts.append({"name": "chat-template", "mountPath": CHAT_TEMPLATE_PATH, "subPath": "chat-template.jinja"})
        volumes.append({"name": "chat-template", "configMap": {"name": name}})
    container: Manifest = {
        "name": "engine",
        "image": engine_image(plan),
        "command": argv,
        "env": [{"name": key, "value": value} for key, value in sorted(command.environment.items())],
        "ports": [{"name": "http", "containerPort": ENGINE_PORT}],
        "resources": {"limits": {"nvidia.com/gpu": len(plan.gpu_indices)}},
        "volumeMounts": mounts,
    }
    return {
        "metadata": {"labels": _engine_labels(name)},
        "spec": {"terminationGracePeriodSeconds": 120, "containers": [container], "volumes": volumes},
    }


def _for_any_node(argv: Sequence[str]) -> list[str]:
    values = {
        "--node-rank": "$(LWS_WORKER_INDEX)",
        "--dist-init-addr": f"$(LWS_LEADER_ADDRESS):{_MEETING_PORT}",
    }
    return [values.get(before, part) for before, part in zip(("", *argv), argv, strict=False)]


def _with_readiness(pod: Manifest) -> Manifest:
    """Loading may take long, so only readiness asks; a server that hangs is an alert's business."""
    spec = pod["spec"]
    assert isinstance(spec, dict)
    [container] = spec["containers"]
    probe = {"httpGet": {"path": "/health", "port": ENGINE_PORT}, "periodSeconds": 15, "timeoutSeconds": 10}
    return {**pod, "spec": {**spec, "containers": [{**container, "readinessProbe": probe}]}}


def _stateful_set(name: str, replicas: int, pod: Manifest) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "serviceName": name,
            "replicas": replicas,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": _engine_labels(name)},
            "template": _with_readiness(pod),
        },
    }


def _leader_worker_set(name: str, nodes: int, pod: Manifest) -> Manifest:
    labels = {**_engine_labels(name), "role": "leader"}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "leaderWorkerTemplate": {
                "size": nodes,
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": {**_with_readiness(pod), "metadata": {"labels": labels}},
                "workerTemplate": pod,
            },
        },
    }


def _engine_service(name: str, plan: LaunchPlan) -> Manifest:
    selector = _engine_labels(name) if plan.node_count == 1 else {**_engine_labels(name), "role": "leader"}
    ports = [{"name": "http", "port": ENGINE_PORT}]
    spec = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": selector, "ports": ports}
    # Not `name` with several nodes: the LeaderWorkerSet makes a service of that name.
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": _upstream_host(name, plan)}, "spec": spec}


def _upstream_host(name: str, plan: LaunchPlan) -> str:
    return name if plan.node_count == 1 else f"{name}-leader"


def _engine_wall(name: str, plan: LaunchPlan) -> Manifest:
    """The engine asks for no key: only the gateway may reach it, and its own kind for the machines of one replica."""
    allowed: list[Manifest] = [
        {"from": [{"podSelector": {"matchLabels": _gateway_labels(name)}}], "ports": [{"port": ENGINE_PORT}]}
    ]
    if plan.node_count > 1:
        allowed.append({"from": [{"podSelector": {"matchLabels": _engine_labels(name)}}]})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "podSelector": {"matchLabels": _engine_labels(name)},
            "policyTypes": ["Ingress"],
            "ingress": allowed,
        },
    }


def _gateway(plan: LaunchPlan, options: ExportOptions, name: str) -> Manifest:
    """One pod: it has the store. The router beside it brings each session back to the engine that knows it."""
    routed = options.replicas > 1
    host, port = ("127.0.0.1", ROUTER_PORT) if routed else (_upstream_host(name, plan), ENGINE_PORT)
    container: Manifest = {
        "name": "gateway",
        "image": options.image,
        "args": gateway_arguments(plan, upstream_host=host, upstream_port=port),
        "env": [{"name": "SGCX_HOME", "value": SGCX_HOME}],
        "ports": [{"name": "http", "containerPort": GATEWAY_PORT}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": GATEWAY_PORT}, "timeoutSeconds": 10},
        "volumeMounts": [
            {"name": "api-key", "mountPath": API_KEY_PATH, "subPath": "api-key", "readOnly": True},
            {"name": "state", "mountPath": f"{SGCX_HOME}/state"},
        ],
    }
    volumes = [
        {"name": "api-key", "secret": {"secretName": name, "defaultMode": _OWNER_READS}},
        {"name": "state", "persistentVolumeClaim": {"claimName": f"{name}-state"}},
    ]
    containers = [container, _router(options, name)] if routed else [container]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{name}-gateway"},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": _gateway_labels(name)},
            "template": {
                "metadata": {"labels": _gateway_labels(name)},
                "spec": {"containers": containers, "volumes": volumes},
            },
        },
    }


def _router(options: ExportOptions, name: str) -> Manifest:
    engines = [f"http://{name}-{index}.{name}:{ENGINE_PORT}" for index in range(options.replicas)]
    command = ["python3", "-m", "sglang_router.launch_router", "--policy", "cache_aware"]
    address = ["--host", "127.0.0.1", "--port", str(ROUTER_PORT)]
    return {
        "name": "router",
        "image": options.image,
        "command": [*command, *address, "--worker-urls", *engines],
    }


def _config_map(name: str, template: str) -> Manifest:
    data = {"chat-template.jinja": template}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _state_claim(name: str) -> Manifest:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"{name}-state"},
        "spec": spec,
    }


def _gateway_service(name: str) -> Manifest:
    ports = [{"name": "http", "port": 80, "targetPort": GATEWAY_PORT}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"{name}-gateway"},
        "spec": {"selector": _gateway_labels(name), "ports": ports},
    }
