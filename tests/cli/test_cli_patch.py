"""`sgcx patch` without an engine: what it explains, exports and refuses."""

from __future__ import annotations

from pathlib import Path

from cli_runner import Said, Sgcx
from inline_snapshot import snapshot

from sgcx.engines.patches.registry import PATCHES


def test_the_list_explains_each_patch(sgcx: Sgcx) -> None:
    assert sgcx("patch", "list") == snapshot(
        Said(
            exit_code=0,
            stdout="""\
mount-point for SGLang 0.5.10.post1
  Purpose   lets another package's routes into the HTTP server, before the built-in ones
  File      sglang/srt/entrypoints/http_server.py
  Where     module level, after the first include_router
  Upstream  0.5.11 and later load plugins from the entry point group sglang.srt.plugins
cpu-grammar for SGLang 0.5.10.post1
  Purpose   applies JSON schemas and grammars when the engine runs on a CPU
  File      sglang/srt/constrained/xgrammar_backend.py
  Where     XGrammarGrammar.apply_vocab_mask
  Upstream  0.5.20 and later have the same branch
cpu-fork for SGLang 0.5.10.post1
  Purpose   starts with less than half the processor time on a CPU
  File      sglang/srt/entrypoints/engine.py
  Where     _set_envs_and_config
  Upstream  none up to 0.5.23
abort-state for SGLang 0.5.10.post1
  Purpose   forgets requests that are aborted in the waiting queue, and survives a late abort
  File      sglang/srt/managers/tokenizer_manager.py
  Where     TokenizerManager._handle_abort_req
  Upstream  0.5.13 and later delete the state there
request-state for SGLang 0.5.10.post1
  Purpose   forgets a request that ends early (refused, disconnected, cancelled) and stops the work on it
  File      sglang/srt/managers/tokenizer_manager.py
  Where     TokenizerManager.generate_request
  Upstream  0.5.20 and later release it; 0.5.14 and later where validation fails
cancelled-wait for SGLang 0.5.10.post1
  Purpose   stops a cancelled request also when the cancellation meets an output of the engine
  File      sglang/srt/managers/tokenizer_manager.py
  Where     TokenizerManager._wait_one_response
  Upstream  none up to 0.5.23; Python 3.12 and later do not lose the cancellation
abort-status for SGLang 0.5.10.post1
  Purpose   ends a request with whatever 4xx or 5xx status the engine aborts it with
  File      sglang/srt/managers/tokenizer_manager.py
  Where     TokenizerManager._wait_one_response
  Upstream  0.5.23 maps all of them
id-copies for SGLang 0.5.10.post1
  Purpose   copies the token ids of a stream once, at its end, not with every token
  File      sglang/srt/managers/tokenizer_manager.py
  Where     TokenizerManager._handle_batch_output
  Upstream  0.5.23 copies them at the end
drain-deadline for SGLang 0.5.10.post1
  Purpose   after SIGTERM refuses new requests, and aborts the running ones after SGLANG_DRAIN_DEADLINE (120 s)
  File      sglang/srt/managers/tokenizer_manager.py
  Where     TokenizerManager.sigterm_watchdog, generate_request
  Upstream  0.5.16 and later stop in another way; new requests are accepted there, too
stream-errors for SGLang 0.5.10.post1
  Purpose   ends a chat stream properly when it is aborted or fails: finish reason or error event, then [DONE]
  File      sglang/srt/entrypoints/openai/serving_chat.py
  Where     OpenAIServingChat._generate_chat_stream
  Upstream  0.5.11 and later for aborts; exceptions still cut the stream in 0.5.23
first-chunk-status for SGLang 0.5.10.post1
  Purpose   answers a streamed chat request that is refused before its first token with the refusal's status
  File      sglang/srt/entrypoints/openai/serving_chat.py
  Where     OpenAIServingChat._handle_streaming_request
  Upstream  none up to 0.5.23
held-text for SGLang 0.5.10.post1
  Purpose   asks the parsers at the end of a chat stream for the text that they hold back
  File      sglang/srt/entrypoints/openai/serving_chat.py
  Where     OpenAIServingChat._process_reasoning_stream, _check_for_unstreamed_tool_args
  Upstream  0.5.16 and later for reasoning
text-as-ids for SGLang 0.5.10.post1
  Purpose   sends text-only requests to a multimodal model as token ids, not decoded and encoded again
  File      sglang/srt/entrypoints/openai/serving_chat.py
  Where     OpenAIServingChat._convert_to_internal_request, _apply_jinja_template
  Upstream  0.5.23 prefers the ids where decoding is not exact
off-loop-rendering for SGLang 0.5.10.post1
  Purpose   renders and tokenizes chats in a thread, so that a long one does not stop the other streams
  File      sglang/srt/entrypoints/openai/serving_base.py
  Where     OpenAIServingBase.handle_request
  Upstream  0.5.23 does so
queue-fairness for SGLang 0.5.10.post1
  Purpose   lets no waiting request be passed over for ever by others with longer cached prompts
  File      sglang/srt/managers/schedule_policy.py
  Where     SchedulePolicy._sort_by_longest_prefix
  Upstream  none up to 0.5.23 for the policy lpm; its policy hrrn ages what waits
idle-grammar for SGLang 0.5.10.post1
  Purpose   lets an idle server that sleeps begin as soon as a grammar is compiled, not up to a second later
  File      sglang/srt/managers/scheduler.py
  Where     Scheduler.maybe_sleep_on_idle
  Upstream  none up to 0.5.23
history-arguments for SGLang 0.5.10.post1
  Purpose   accepts past tool calls whose arguments are no valid JSON
  File      sglang/srt/entrypoints/openai/serving_chat.py
  Where     OpenAIServingChat._apply_jinja_template
  Upstream  none up to 0.5.23: 400
effort-values for SGLang 0.5.10.post1
  Purpose   accepts the reasoning efforts minimal, xhigh and max
  File      sglang/srt/entrypoints/openai/protocol.py
  Where     ChatCompletionRequest.normalize_reasoning_inputs
  Upstream  later versions have more values
kimi-tool-calls for SGLang 0.5.10.post1
  Purpose   reads Kimi K2's tool calls right however the text arrives
  File      sglang/srt/function_call/kimik2_detector.py
  Where     KimiK2Detector.parse_streaming_increment, detect_and_parse
  Upstream  0.5.16 and later read several calls at once; an unusual id still loses the call there
  Needs     held-text
deepseek-tool-calls for SGLang 0.5.10.post1
  Purpose   reads the tool calls of DeepSeek V3 and R1 right however the text arrives, and keeps code fences
  File      sglang/srt/function_call/deepseekv3_detector.py
  Where     DeepSeekV3Detector.parse_streaming_increment, detect_and_parse
  Upstream  none up to 0.5.23
  Needs     held-text
deepseek-v31-tool-calls for SGLang 0.5.10.post1
  Purpose   reads the tool calls of DeepSeek V3.1 right however the text arrives
  File      sglang/srt/function_call/deepseekv31_detector.py
  Where     DeepSeekV31Detector.parse_streaming_increment, detect_and_parse
  Upstream  none up to 0.5.23
  Needs     held-text
reasoning-split for SGLang 0.5.10.post1
  Purpose   separates reasoning from the answer right however the text arrives, and keeps its white space
  File      sglang/srt/parser/reasoning_parser.py
  Where     BaseReasoningFormatDetector.parse_streaming_increment, detect_and_parse
  Upstream  0.5.18 and later hold text back; 0.5.23 keeps white space
  Needs     held-text
secrets-in-log for SGLang 0.5.10.post1
  Purpose   keeps keys and passphrases out of the log's first line
  File      sglang/srt/server_args.py
  Where     ServerArgs.api_key, admin_api_key, ssl_keyfile_password
  Upstream  none up to 0.5.23
media-in-log for SGLang 0.5.10.post1
  Purpose   keeps images that cannot be loaded out of the log and of the answer
  File      sglang/srt/multimodal/processors/base_processor.py
  Where     BaseMultimodalProcessor._load_single_item
  Upstream  0.5.23 repeats the first 100 characters
secrets-in-server-info for SGLang 0.5.10.post1
  Purpose   keeps keys and passphrases out of /server_info
  File      sglang/srt/entrypoints/http_server.py
  Where     server_info
  Upstream  none up to 0.5.23
""",
            stderr="",
        )
    )


def test_the_list_for_a_program(sgcx: Sgcx) -> None:
    said = sgcx("patch", "list", "--json").json
    assert isinstance(said, list)
    assert [patch["name"] for patch in said] == [patch.name for patch in PATCHES]


def test_the_page_is_the_registrys(sgcx: Sgcx) -> None:
    page = Path(__file__).parents[2] / "docs" / "patches.md"
    current = page.read_text(encoding="utf-8")
    assert sgcx("patch", "list", "--markdown").stdout == current, "sgcx patch list --markdown > docs/patches.md"
    for patch in PATCHES:
        assert f"\n{patch.reason}\n" in current


def test_export_writes_the_plain_diffs(sgcx: Sgcx, home: Path) -> None:
    assert sgcx("patch", "export", "out") == snapshot(
        Said(
            exit_code=0,
            stdout="""\
out/mount-point.patch
out/cpu-grammar.patch
out/cpu-fork.patch
out/abort-state.patch
out/request-state.patch
out/cancelled-wait.patch
out/abort-status.patch
out/id-copies.patch
out/drain-deadline.patch
out/stream-errors.patch
out/first-chunk-status.patch
out/held-text.patch
out/text-as-ids.patch
out/off-loop-rendering.patch
out/queue-fairness.patch
out/idle-grammar.patch
out/history-arguments.patch
out/effort-values.patch
out/kimi-tool-calls.patch
out/deepseek-tool-calls.patch
out/deepseek-v31-tool-calls.patch
out/reasoning-split.patch
out/secrets-in-log.patch
out/media-in-log.patch
out/secrets-in-server-info.patch
""",
            stderr="Apply them in the folder that holds the `sglang` package: patch -p1 < FILE\n",
        )
    )
    assert (home / "out" / "mount-point.patch").read_text() == PATCHES[0].text


def test_export_of_a_version_without_patches(sgcx: Sgcx) -> None:
    assert sgcx("patch", "export", "out", "--sglang", "1.0") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: There are no patches for SGLang 1.0

hint: Versions with patches: 0.5.10.post1
""",
        )
    )


def test_export_to_a_place_that_cannot_be(sgcx: Sgcx, home: Path) -> None:
    (home / "file").touch()
    assert sgcx("patch", "export", "file") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: The patches cannot be written to file: File exists

hint: Choose another folder
""",
        )
    )


def test_a_target_without_sglang_is_named(sgcx: Sgcx, home: Path) -> None:
    assert sgcx("patch", "status", "--target", str(home)) == snapshot(
        Said(exit_code=2, stdout="", stderr="error: [HOME] does not hold one installed SGLang\n")
    )
    assert sgcx("patch", "apply", "--target", str(home / "absent")) == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: [HOME]/absent does not exist

hint: Give a Python interpreter or its site-packages folder
""",
        )
    )


def test_a_changed_sglang_is_refused_with_file_and_hashes(sgcx: Sgcx, home: Path) -> None:
    site_packages = _changed_sglang(home)
    refused = sgcx("patch", "apply", "mount-point", "--target", str(site_packages))
    assert refused == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: [HOME]/site-packages/sglang/srt/entrypoints/http_server.py was not patched: its SHA-256 is c2fcb4252a7f9949107f6d760c77db98f0b5e4b10799fe5c2b5cba595de52015, SGLang 0.5.10.post1 has 10444fc690914b7d0a0c44b1bfc3b60184e6485372a682156e9f07a48980895d

hint: `sgcx engine repair` mends an engine of sgcx; elsewhere reinstall SGLang, or undo the foreign change
""",  # noqa: E501
        )
    )
    status = sgcx("patch", "status", "--target", str(site_packages), "--json")
    assert status.exit_code == 1
    assert isinstance(status.json, dict)
    assert [patch["state"] for patch in status.json["patches"]] == ["conflict"] * len(PATCHES)


def test_an_unknown_patch_lists_the_known(sgcx: Sgcx, home: Path) -> None:
    refused = sgcx("patch", "apply", "mount", "--target", str(_changed_sglang(home)))
    assert refused.exit_code == 2
    assert "error: There is no patch 'mount' for SGLang 0.5.10.post1\n" in refused.stderr
    assert f"hint: Patches for it: {', '.join(patch.name for patch in PATCHES)}\n" in refused.stderr


def _changed_sglang(home: Path) -> Path:
    site_packages = home / "site-packages"
    (site_packages / "sglang-0.5.10.post1.dist-info").mkdir(parents=True)
    for patch in PATCHES:
        path = site_packages / patch.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# somebody else's\n")
    return site_packages
