"""Which patches there are, what each is for, and the exact file it belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from sgcx.engines.patches.unified_diff import Edit, parse_unified_diff
from sgcx.errors import UserError


@dataclass(frozen=True)
class Patch:
    name: str
    sglang_version: str
    purpose: str
    file: str
    """Relative to the folder that holds the `sglang` package."""
    where: str
    """The function, or the place in the module, that it changes."""
    upstream: str
    """How later SGLang versions do it, which is when this patch ends."""
    pristine_sha256: str
    """Of the file as SGLang published it."""
    patched_sha256: str
    """Of the file with this patch and no other."""
    needs: tuple[str, ...] = ()
    """Patches without which this one does harm."""
    needed_by_sgcx: bool = False
    """sgcx's own endpoint cannot be served without it."""

    @cached_property
    def text(self) -> str:
        resource = files(__package__) / self.sglang_version / f"{self.name}.patch"
        return resource.read_text(encoding="utf-8")

    @property
    def reason(self) -> str:
        """What goes wrong without it: the prose before the diff."""
        _licence, reason, _diff = self.text.split("\n\n", 2)
        return reason

    @cached_property
    def edits(self) -> tuple[Edit, ...]:
        return parse_unified_diff(self.text)


PATCHES: tuple[Patch, ...] = (
    Patch(
        name="mount-point",
        sglang_version="0.5.10.post1",
        purpose="lets another package's routes into the HTTP server, before the built-in ones",
        file="sglang/srt/entrypoints/http_server.py",
        where="module level, after the first include_router",
        upstream="0.5.11 and later load plugins from the entry point group sglang.srt.plugins",
        pristine_sha256="10444fc690914b7d0a0c44b1bfc3b60184e6485372a682156e9f07a48980895d",
        patched_sha256="0e538a147766bbae9df55eabd7f61b7d14db825f2bfb4e1b88907dfaef97bd3b",
        needed_by_sgcx=True,
    ),
    Patch(
        name="cpu-grammar",
        sglang_version="0.5.10.post1",
        purpose="applies JSON schemas and grammars when the engine runs on a CPU",
        file="sglang/srt/constrained/xgrammar_backend.py",
        where="XGrammarGrammar.apply_vocab_mask",
        upstream="0.5.20 and later have the same branch",
        pristine_sha256="36a4e6cbcf94298ab2de2a834bd2aafe2ef5c8ac4b8df2f8be6d1fc2534c7b5c",
        patched_sha256="865d79467b8ee3efe04a3543fc543c676ed9d0a46bcda4f35e3bd866ad484664",
    ),
    Patch(
        name="cpu-fork",
        sglang_version="0.5.10.post1",
        purpose="starts with less than half the processor time on a CPU",
        file="sglang/srt/entrypoints/engine.py",
        where="_set_envs_and_config",
        upstream="none up to 0.5.23",
        pristine_sha256="06658056d4e366d001c9c11db456fff1c5a72dc05dcd9b5e6868e0694791fa71",
        patched_sha256="7ef30b12cb695921b682961c4aa725075c7b6304f74e49416aa525c08b9451c9",
    ),
    Patch(
        name="abort-state",
        sglang_version="0.5.10.post1",
        purpose="forgets requests that are aborted in the waiting queue, and survives a late abort",
        file="sglang/srt/managers/tokenizer_manager.py",
        where="TokenizerManager._handle_abort_req",
        upstream="0.5.13 and later delete the state there",
        pristine_sha256="5645ffcd9c61bd1d8c4c4062ebe41a6b48ae8e07891c56e6b2b7dcfb8d16d834",
        patched_sha256="b5aba531e6bc6011137a1427a77ad4c13b938e8a402dc8d58d4b37a0d9735dbb",
    ),
    Patch(
        name="request-state",
        sglang_version="0.5.10.post1",
        purpose="forgets a request that ends early (refused, disconnected, cancelled) and stops the work on it",
        file="sglang/srt/managers/tokenizer_manager.py",
        where="TokenizerManager.generate_request",
        upstream="0.5.20 and later release it; 0.5.14 and later where validation fails",
        pristine_sha256="5645ffcd9c61bd1d8c4c4062ebe41a6b48ae8e07891c56e6b2b7dcfb8d16d834",
        patched_sha256="0e8d1fadc6881eada265350f5c9a55542363324e956da3a4f48f2ae3d906dab3",
    ),
    Patch(
        name="cancelled-wait",
        sglang_version="0.5.10.post1",
        purpose="stops a cancelled request also when the cancellation meets an output of the engine",
        file="sglang/srt/managers/tokenizer_manager.py",
        where="TokenizerManager._wait_one_response",
        upstream="none up to 0.5.23; Python 3.12 and later do not lose the cancellation",
        pristine_sha256="5645ffcd9c61bd1d8c4c4062ebe41a6b48ae8e07891c56e6b2b7dcfb8d16d834",
        patched_sha256="6d50ec3b4aff7812e27a5b15a943c16a4b65029f7f49154ce268ffb860c0daf3",
    ),
    Patch(
        name="abort-status",
        sglang_version="0.5.10.post1",
        purpose="ends a request with whatever 4xx or 5xx status the engine aborts it with",
        file="sglang/srt/managers/tokenizer_manager.py",
        where="TokenizerManager._wait_one_response",
        upstream="0.5.23 maps all of them",
        pristine_sha256="5645ffcd9c61bd1d8c4c4062ebe41a6b48ae8e07891c56e6b2b7dcfb8d16d834",
        patched_sha256="05b95fb6030fb42d9459c1fd22f537add4b95e5b333939657aae3925395a7f8a",
    ),
    Patch(
        name="id-copies",
        sglang_version="0.5.10.post1",
        purpose="copies the token ids of a stream once, at its end, not with every token",
        file="sglang/srt/managers/tokenizer_manager.py",
        where="TokenizerManager._handle_batch_output",
        upstream="0.5.23 copies them at the end",
        pristine_sha256="5645ffcd9c61bd1d8c4c4062ebe41a6b48ae8e07891c56e6b2b7dcfb8d16d834",
        patched_sha256="3130d237b88c3ade7b9b9aeba236c5ea5fe9b694f3a0ddf2183132dcc66ce250",
    ),
    Patch(
        name="drain-deadline",
        sglang_version="0.5.10.post1",
        purpose="after SIGTERM refuses new requests, and aborts the running ones after SGLANG_DRAIN_DEADLINE (120 s)",
        file="sglang/srt/managers/tokenizer_manager.py",
        where="TokenizerManager.sigterm_watchdog, generate_request",
        upstream="0.5.16 and later stop in another way; new requests are accepted there, too",
        pristine_sha256="5645ffcd9c61bd1d8c4c4062ebe41a6b48ae8e07891c56e6b2b7dcfb8d16d834",
        patched_sha256="b310bcf46568f5a66922608626fa1af2361e1505be091887c436477d9c2773be",
    ),
    Patch(
        name="stream-errors",
        sglang_version="0.5.10.post1",
        purpose="ends a chat stream properly when it is aborted or fails: finish reason or error event, then [DONE]",
        file="sglang/srt/entrypoints/openai/serving_chat.py",
        where="OpenAIServingChat._generate_chat_stream",
        upstream="0.5.11 and later for aborts; exceptions still cut the stream in 0.5.23",
        pristine_sha256="082921f16a712e2a01518756f692f16d514067dec10c893c59831c12fa831a55",
        patched_sha256="d097f26409f4fee12854213ccfa340bf5b4622fbab19380bd9a72cf521e9ddd9",
    ),
    Patch(
        name="first-chunk-status",
        sglang_version="0.5.10.post1",
        purpose="answers a streamed chat request that is refused before its first token with the refusal's status",
        file="sglang/srt/entrypoints/openai/serving_chat.py",
        where="OpenAIServingChat._handle_streaming_request",
        upstream="none up to 0.5.23",
        pristine_sha256="082921f16a712e2a01518756f692f16d514067dec10c893c59831c12fa831a55",
        patched_sha256="fd994bdd7db3dbf628e4065d43f0365854321a7b20ae07716bc6a298f9d9ed1c",
    ),
    Patch(
        name="held-text",
        sglang_version="0.5.10.post1",
        purpose="asks the parsers at the end of a chat stream for the text that they hold back",
        file="sglang/srt/entrypoints/openai/serving_chat.py",
        where="OpenAIServingChat._process_reasoning_stream, _check_for_unstreamed_tool_args",
        upstream="0.5.16 and later for reasoning",
        pristine_sha256="082921f16a712e2a01518756f692f16d514067dec10c893c59831c12fa831a55",
        patched_sha256="7b0e4b847757f8cc33c102f649e218220baf530930d38289e338236c8bfb7a4d",
    ),
    Patch(
        name="text-as-ids",
        sglang_version="0.5.10.post1",
        purpose="sends text-only requests to a multimodal model as token ids, not decoded and encoded again",
        file="sglang/srt/entrypoints/openai/serving_chat.py",
        where="OpenAIServingChat._convert_to_internal_request, _apply_jinja_template",
        upstream="0.5.23 prefers the ids where decoding is not exact",
        pristine_sha256="082921f16a712e2a01518756f692f16d514067dec10c893c59831c12fa831a55",
        patched_sha256="0a3b0879f09dd32b6e36669345fa2b1a9beba026cff4d9a09ed3179d9dc79d85",
    ),
    Patch(
        name="off-loop-rendering",
        sglang_version="0.5.10.post1",
        purpose="renders and tokenizes chats in a thread, so that a long one does not stop the other streams",
        file="sglang/srt/entrypoints/openai/serving_base.py",
        where="OpenAIServingBase.handle_request",
        upstream="0.5.23 does so",
        pristine_sha256="c36339a71bb3332a9cff40ebcf8b98df1819185e61d27372c7f94a7ba0cea0a5",
        patched_sha256="821afd9d915c8914fd77b75ad7409acb8fdf27433435fed54d2cec2bb47d3070",
    ),
    Patch(
        name="queue-fairness",
        sglang_version="0.5.10.post1",
        purpose="lets no waiting request be passed over for ever by others with longer cached prompts",
        file="sglang/srt/managers/schedule_policy.py",
        where="SchedulePolicy._sort_by_longest_prefix",
        upstream="none up to 0.5.23 for the policy lpm; its policy hrrn ages what waits",
        pristine_sha256="50e847eafefcb994cefe8c740c204cdbb382dbfa1a09918e9959e313825b7adb",
        patched_sha256="118d6335cad31ec88b4971e56a3d71d36a5183657a0302b5dd25bb43d12b1322",
    ),
    Patch(
        name="idle-grammar",
        sglang_version="0.5.10.post1",
        purpose="lets an idle server that sleeps begin as soon as a grammar is compiled, not up to a second later",
        file="sglang/srt/managers/scheduler.py",
        where="Scheduler.maybe_sleep_on_idle",
        upstream="none up to 0.5.23",
        pristine_sha256="1e342c442ffa1539f58181bf1a24d2c02a5b0cdcce7ed46c97a57f0cdb6b716c",
        patched_sha256="8eed03145af99a7e70819dae97c6bd6073a8febc71caec34ffb58ca448a68bef",
    ),
    Patch(
        name="history-arguments",
        sglang_version="0.5.10.post1",
        purpose="accepts past tool calls whose arguments are no valid JSON",
        file="sglang/srt/entrypoints/openai/serving_chat.py",
        where="OpenAIServingChat._apply_jinja_template",
        upstream="none up to 0.5.23: 400",
        pristine_sha256="082921f16a712e2a01518756f692f16d514067dec10c893c59831c12fa831a55",
        patched_sha256="5d13cb473d6727984d74fd99b0b6c7340ed201762a40884b3a38251c3834a85f",
    ),
    Patch(
        name="effort-values",
        sglang_version="0.5.10.post1",
        purpose="accepts the reasoning efforts minimal, xhigh and max",
        file="sglang/srt/entrypoints/openai/protocol.py",
        where="ChatCompletionRequest.normalize_reasoning_inputs",
        upstream="later versions have more values",
        pristine_sha256="7ee2266bd5605edafa4a7740174c96820df9a8fa2e14a9ad1cac841ebf0f893a",
        patched_sha256="91ab62e8fa2ba92300e975d483668155a7e0692a20e4abd6f0f1bbb07aaba5fb",
    ),
    Patch(
        name="kimi-tool-calls",
        sglang_version="0.5.10.post1",
        purpose="reads Kimi K2's tool calls right however the text arrives",
        file="sglang/srt/function_call/kimik2_detector.py",
        where="KimiK2Detector.parse_streaming_increment, detect_and_parse",
        upstream="0.5.16 and later read several calls at once; an unusual id still loses the call there",
        pristine_sha256="b8202c97a5ce43b673db9a6a547a3a47173096f9aff029f3617e6adce1cacace",
        patched_sha256="7c0d6e408928cdc60876a0a2fe22cd7e5897010e755a57ee99d02eadd3d6e9ac",
        needs=("held-text",),
    ),
    Patch(
        name="deepseek-tool-calls",
        sglang_version="0.5.10.post1",
        purpose="reads the tool calls of DeepSeek V3 and R1 right however the text arrives, and keeps code fences",
        file="sglang/srt/function_call/deepseekv3_detector.py",
        where="DeepSeekV3Detector.parse_streaming_increment, detect_and_parse",
        upstream="none up to 0.5.23",
        pristine_sha256="10d5cf0d0647e78f9095e21895f028012f55a418db3e64c63d25359107e1bc80",
        patched_sha256="de827f985b5fbdade63eeee5e1b37f1ee1db79b52a39dfae862d3965bdb9fed1",
        needs=("held-text",),
    ),
    Patch(
        name="deepseek-v31-tool-calls",
        sglang_version="0.5.10.post1",
        purpose="reads the tool calls of DeepSeek V3.1 right however the text arrives",
        file="sglang/srt/function_call/deepseekv31_detector.py",
        where="DeepSeekV31Detector.parse_streaming_increment, detect_and_parse",
        upstream="none up to 0.5.23",
        pristine_sha256="ec6374c040a86dd2021b7ea7b989300299dea623fdaa3c71d6d9aa3f18e845d7",
        patched_sha256="9e83ed004d188a48e3abe9c7ff5272964de7e357d172188a3ac04f330ebec123",
        needs=("held-text",),
    ),
    Patch(
        name="reasoning-split",
        sglang_version="0.5.10.post1",
        purpose="separates reasoning from the answer right however the text arrives, and keeps its white space",
        file="sglang/srt/parser/reasoning_parser.py",
        where="BaseReasoningFormatDetector.parse_streaming_increment, detect_and_parse",
        upstream="0.5.18 and later hold text back; 0.5.23 keeps white space",
        pristine_sha256="816f6fc3b2cad1160c075ec59f08daa8cf7027e0406c9c42ad04b010c5681475",
        patched_sha256="59c4cebdfd0311a1460d8466980463526e341d7f0be6d0bb76d428a30d7edc38",
        needs=("held-text",),
    ),
    Patch(
        name="secrets-in-log",
        sglang_version="0.5.10.post1",
        purpose="keeps keys and passphrases out of the log's first line",
        file="sglang/srt/server_args.py",
        where="ServerArgs.api_key, admin_api_key, ssl_keyfile_password",
        upstream="none up to 0.5.23",
        pristine_sha256="921201ad646844722db62e7672b1a8a119d93269d7b39d84140bc2a470035f1d",
        patched_sha256="82f0ec864bd23eafe332d47a3615e8dcd963d938094b5682ec07b4f06afa75d6",
    ),
    Patch(
        name="media-in-log",
        sglang_version="0.5.10.post1",
        purpose="keeps images that cannot be loaded out of the log and of the answer",
        file="sglang/srt/multimodal/processors/base_processor.py",
        where="BaseMultimodalProcessor._load_single_item",
        upstream="0.5.23 repeats the first 100 characters",
        pristine_sha256="43132c72d28da073d3d81a9e6d342a32189f1ed87e0db435ebd84dba33e385fd",
        patched_sha256="069a2b70d2f43f1ce9cc5069ed9c9ef5021cab92510a691dfb5cf230a0ad9b74",
    ),
    Patch(
        name="secrets-in-server-info",
        sglang_version="0.5.10.post1",
        purpose="keeps keys and passphrases out of /server_info",
        file="sglang/srt/entrypoints/http_server.py",
        where="server_info",
        upstream="none up to 0.5.23",
        pristine_sha256="10444fc690914b7d0a0c44b1bfc3b60184e6485372a682156e9f07a48980895d",
        patched_sha256="1233acbea56fcc99e023eae2468da6cf4726de2061be91055d886bc25d4228ee",
    ),
)


def patches_for(sglang_version: str, names: Iterable[str] | None = None) -> tuple[Patch, ...]:
    """The patches for one SGLang version, in the registry's order; all of them, or those in `names`."""
    known = tuple(patch for patch in PATCHES if patch.sglang_version == sglang_version)
    if names is None:
        return known
    wanted = set(names)
    unknown = sorted(wanted - {patch.name for patch in known})
    if unknown:
        available = ", ".join(patch.name for patch in known) or "none"
        raise UserError(
            f"There is no patch {unknown[0]!r} for SGLang {sglang_version}", hint=f"Patches for it: {available}"
        )
    return tuple(patch for patch in known if patch.name in wanted)


def patches_without(sglang_version: str, left_out: Iterable[str]) -> tuple[Patch, ...]:
    """All patches for one SGLang version but those left out; none may need one of these."""
    absent = {patch.name for patch in patches_for(sglang_version, left_out)}
    present = tuple(patch for patch in patches_for(sglang_version) if patch.name not in absent)
    for patch in present:
        for missing in absent.intersection(patch.needs):
            raise UserError(f"The patch {patch.name!r} needs {missing!r}", hint="Leave out both, or neither")
    return present
