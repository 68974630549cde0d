"""How the model is divided among GPUs and nodes, as decisions with reasons."""

from __future__ import annotations

from sgcx.byte_sizes import gib
from sgcx.planning.architecture import MlaAttention
from sgcx.planning.layout import Layout
from sgcx.planning.plan import Decision, Declined, Wishes
from sgcx.planning.profile import HubCheckpoint

_DEFAULT_MEETING_PLACE = "FIRST_NODE:20000"
_DATACENTER_BLACKWELL = 10


def division_decisions(checkpoint: HubCheckpoint, layout: Layout, wishes: Wishes) -> list[Decision]:
    parallelism = layout.settings.parallelism
    decisions = [Decision("tp_size", parallelism.tp_size, _because_tp_size(checkpoint, layout))]
    if parallelism.pp_size > 1:
        decisions.append(Decision("pp_size", parallelism.pp_size, _because_pp_size(layout)))
    if parallelism.dp_size > 1:
        because = (
            f"asked for: {parallelism.dp_size} ranks, each with a cache of {layout.fit.max_total_num_tokens:,} tokens"
        )
        decisions.append(Decision("dp_size", parallelism.dp_size, because))
        decisions.append(Decision("enable_dp_attention", True, "the ranks share the experts, not the attention"))
    if divides_experts(checkpoint, layout, wishes):
        because = "whole experts on each GPU: the published recipe for throughput with these weights"
        decisions.append(Decision("ep_size", parallelism.tp_size, because))
    if layout.node_count > 1:
        where = wishes.dist_init_addr or _DEFAULT_MEETING_PLACE
        decisions.append(Decision("nnodes", layout.node_count, "machines such as this one, together"))
        decisions.append(Decision("dist_init_addr", where, "where the nodes meet: a free port of the first one"))
    return decisions


def declined_divisions(checkpoint: HubCheckpoint, layout: Layout, wishes: Wishes) -> list[Declined]:
    parallelism = layout.settings.parallelism
    declined: list[Declined] = []
    latent = isinstance(checkpoint.architecture.attention, MlaAttention)
    if parallelism.tp_size > 1 and parallelism.dp_size == 1 and latent:
        because = "a session that comes to another rank finds nothing of its history in that rank's cache"
        declined.append(Declined("data-parallel attention", because))
    if parallelism.tp_size > 1 and checkpoint.architecture.experts and not divides_experts(checkpoint, layout, wishes):
        because = "tensor parallelism divides every expert evenly, so no GPU waits for a popular one"
        declined.append(Declined("expert parallelism", because))
    return declined


def divides_experts(checkpoint: HubCheckpoint, layout: Layout, wishes: Wishes) -> bool:
    return (
        wishes.prefer == "throughput"
        and checkpoint.architecture.experts is not None
        and checkpoint.quantization == "nvfp4"
        and layout.gpus[0].compute_capability[0] == _DATACENTER_BLACKWELL
        and layout.settings.parallelism.tp_size > 1
    )


def _because_tp_size(checkpoint: HubCheckpoint, layout: Layout) -> str:
    parallelism = layout.settings.parallelism
    weights = gib(layout.fit.estimate.weights_bytes)
    if parallelism.gpu_count == 1:
        return f"{weights} of weights fit on one GPU"
    return f"{gib(checkpoint.weights_bytes)} of weights divide into {weights} for each of {parallelism.gpu_count} GPUs"


def _because_pp_size(layout: Layout) -> str:
    if layout.node_count > 1:
        return "a stage of layers on each node: the network carries one exchange for each token, not one for each layer"
    return "stages of layers: the model's matrices divide into powers of two only"
