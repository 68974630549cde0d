"""What holds for every machine, not only for the recorded ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sgcx.byte_sizes import GIB
from sgcx.planning.driver import SGLANG_VERSION
from sgcx.planning.layout import Demand, Layout, choose_layout
from sgcx.planning.memory import Calibration, Settings, fit, kv_bytes_per_token, needed_bytes
from sgcx.planning.plan import LaunchPlan, Refusal, Wishes
from sgcx.planning.planner import plan
from sgcx.planning.profile import HubCheckpoint, KvCacheDtype, Profile
from sgcx.planning.snapshot import GpuSnapshot, HardwareSnapshot
from sgcx.planning.speculation import speculation_for
from sgcx.planning.weights import Parallelism
from sgcx.profiles import list_profiles

PROFILES = [
    entry.profile
    for entry in list_profiles(Path("/nonexistent"))
    if isinstance(entry.profile, Profile) and not entry.profile.scripted
]
CHECKPOINTS = [variant for item in PROFILES for variant in item.variants]

profiles = st.sampled_from(PROFILES)
checkpoints = st.sampled_from(CHECKPOINTS)
capabilities = st.sampled_from([(7, 5), (8, 0), (8, 9), (9, 0), (10, 0), (12, 0)])
gibibytes = st.integers(min_value=4, max_value=300)
kv_cache_dtypes: st.SearchStrategy[KvCacheDtype] = st.sampled_from(["auto", "fp8_e4m3"])
wish_lists = st.builds(
    Wishes,
    context_length=st.none() | st.integers(min_value=1, max_value=131_072),
    concurrency=st.none() | st.integers(min_value=1, max_value=8),
    prefer=st.sampled_from([None, "latency", "throughput"]),
    node_count=st.sampled_from([1, 1, 2]),
)


def gpu(index: int, total_gib: int, used_gib: int, capability: tuple[int, int]) -> GpuSnapshot:
    return GpuSnapshot(
        index=index,
        name=f"GPU of {total_gib}",
        uuid=f"GPU-{index}",
        total_bytes=total_gib * GIB,
        reserved_bytes=GIB // 2,
        used_bytes=min(used_gib, total_gib) * GIB,
        compute_capability=capability,
    )


@st.composite
def machines(draw: st.DrawFn) -> HardwareSnapshot:
    """One to twelve GPUs, alike or not, some of them busy."""
    kinds = draw(st.lists(st.tuples(gibibytes, capabilities), min_size=1, max_size=3))
    count = draw(st.integers(min_value=1, max_value=12))
    chosen = [draw(st.sampled_from(kinds)) for _ in range(count)]
    return hardware(
        tuple(
            gpu(index, total, draw(st.integers(min_value=0, max_value=20)), capability)
            for index, (total, capability) in enumerate(chosen)
        )
    )


def hardware(gpus: tuple[GpuSnapshot, ...]) -> HardwareSnapshot:
    return HardwareSnapshot(
        gpus=gpus,
        gpu_note=None,
        driver_version="580.65.06",
        cuda_driver_version=(13, 0),
        cpu_model="processor",
        physical_cores=8,
        logical_cores=16,
        memory_total_bytes=64 * GIB,
        memory_available_bytes=60 * GIB,
        disk_free_bytes=1000 * GIB,
        platform="linux",
        architecture="x86_64",
    )


@given(machines(), profiles, wish_lists)
def test_a_plan_never_exceeds_the_memory_of_the_fullest_gpu(
    snapshot: HardwareSnapshot, profile: Profile, wishes: Wishes
) -> None:
    result = plan(snapshot, profile, wishes)
    if isinstance(result, Refusal):
        return
    assert result.memory is not None
    chosen = [item for item in snapshot.gpus if item.index in result.gpu_indices]
    assert len(chosen) == len(result.gpu_indices)
    assert result.memory.total_bytes <= min(item.free_bytes for item in chosen)


@given(machines(), profiles, wish_lists)
def test_a_plan_holds_every_session_it_promises(snapshot: HardwareSnapshot, profile: Profile, wishes: Wishes) -> None:
    result = plan(snapshot, profile, wishes)
    if isinstance(result, LaunchPlan):
        assert result.max_total_num_tokens >= result.context_length * (wishes.concurrency or 1)
        assert result.full_sessions >= (wishes.concurrency or 1)
        assert wishes.context_length in (None, result.context_length)


@given(machines(), profiles, wish_lists)
def test_gpus_of_a_plan_are_alike_and_able(snapshot: HardwareSnapshot, profile: Profile, wishes: Wishes) -> None:
    result = plan(snapshot, profile, wishes)
    if isinstance(result, LaunchPlan) and isinstance(result.profile.checkpoint, HubCheckpoint):
        chosen = [item for item in snapshot.gpus if item.index in result.gpu_indices]
        assert len({item.name for item in chosen}) == 1
        assert chosen[0].compute_capability >= result.profile.checkpoint.minimum_compute_capability
        assert result.parallelism.gpu_count == len(chosen) * wishes.node_count
        named = {item.index for item in chosen} | {item.index for item in result.excluded_gpus}
        assert named == {item.index for item in snapshot.gpus}, "each GPU is used, or its reason is given"


@given(machines(), profiles, wish_lists)
def test_a_refusal_for_memory_misses_some(snapshot: HardwareSnapshot, profile: Profile, wishes: Wishes) -> None:
    result = plan(snapshot, profile, wishes)
    if isinstance(result, Refusal) and result.needed_bytes:
        assert result.missing_bytes > 0


@given(
    checkpoints,
    st.sampled_from([1, 2, 3, 4, 8]),
    gibibytes,
    st.integers(min_value=0, max_value=200),
    st.sampled_from([(8, 9), (9, 0), (10, 0), (12, 0)]),
    st.integers(min_value=1, max_value=8),
)
def test_more_memory_never_turns_a_plan_into_a_refusal(
    checkpoint: HubCheckpoint,
    count: int,
    total_gib: int,
    more_gib: int,
    capability: tuple[int, int],
    sessions: int,
) -> None:
    demand = Demand(131_072, False, sessions, 16, False)
    small = tuple(gpu(index, total_gib, 0, capability) for index in range(count))
    large = tuple(gpu(index, total_gib + more_gib, 0, capability) for index in range(count))
    before, after = choose_layout(checkpoint, small, demand), choose_layout(checkpoint, large, demand)
    if isinstance(before, Layout):
        assert isinstance(after, Layout)
        assert after.context_length >= before.context_length


@given(machines(), profiles, st.integers(min_value=0, max_value=11))
def test_freeing_a_gpu_never_turns_a_plan_into_a_refusal(
    snapshot: HardwareSnapshot, profile: Profile, position: int
) -> None:
    freed = tuple(
        replace(item, used_bytes=0) if place == position else item for place, item in enumerate(snapshot.gpus)
    )
    if isinstance(plan(snapshot, profile, Wishes()), LaunchPlan):
        assert isinstance(plan(replace(snapshot, gpus=freed), profile, Wishes()), LaunchPlan)


@given(
    checkpoints,
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([2048, 4096, 8192, 16384]),
    kv_cache_dtypes,
    st.integers(min_value=1, max_value=1_000_000),
)
def test_the_memory_that_a_refusal_asks_for_is_enough(
    checkpoint: HubCheckpoint, tp_size: int, chunk: int, kv_cache_dtype: KvCacheDtype, tokens: int
) -> None:
    settings = Settings(Parallelism(tp_size), chunk, 32, kv_cache_dtype)

    asked = needed_bytes(checkpoint, settings, tokens)

    assert fit(checkpoint, settings, asked).max_total_num_tokens >= tokens
    slack = 0.02 * asked + 2 * GIB + kv_bytes_per_token(checkpoint, settings)
    assert fit(checkpoint, settings, int(asked - slack)).max_total_num_tokens < tokens


@given(
    checkpoints,
    st.sampled_from([Parallelism(1), Parallelism(8), Parallelism(4, 2), Parallelism(8, dp_size=4)]),
    gibibytes,
    kv_cache_dtypes,
    st.booleans(),
    st.builds(
        Calibration,
        weights_factor=st.floats(min_value=0.9, max_value=1.1),
        unexplained_bytes=st.integers(min_value=-GIB, max_value=4 * GIB),
    ),
)
def test_the_parts_of_a_gpu_add_up_to_what_is_free_at_most(
    checkpoint: HubCheckpoint,
    parallelism: Parallelism,
    free_gib: int,
    kv_cache_dtype: KvCacheDtype,
    speculates: bool,
    calibration: Calibration,
) -> None:
    speculation = speculation_for(checkpoint, parallelism, SGLANG_VERSION) if speculates else None
    draft = None if speculation is None else speculation.memory
    settings = Settings(parallelism, 8192, 16, kv_cache_dtype, draft, calibration)
    result = fit(checkpoint, settings, free_gib * GIB)
    if result.max_total_num_tokens:
        assert result.estimate.total_bytes <= free_gib * GIB
        assert 0 < result.mem_fraction_static <= 0.94
    tokens = 10_000
    assert fit(checkpoint, settings, needed_bytes(checkpoint, settings, tokens)).max_total_num_tokens >= tokens
