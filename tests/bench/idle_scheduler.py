"""SGLang's server with a scheduler that computes nothing. Runs in the engine's Python: `idle_scheduler.py CONFIG`.

At every step the scheduler has one token for each running request, already decoded, so neither a model nor the
detokenizer takes time.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

STEP_VARIABLE = "SGCX_BENCH_STEP_S"


def schedule(server_args, port_args, *arguments):
    """In place of SGLang's scheduler process; `arguments` end with the pipe that waits for its start."""
    import zmq
    from sglang.srt.managers.io_struct import AbortReq, TokenizedGenerateReqInput
    from sglang.srt.utils.network import get_zmq_socket

    context = zmq.Context()
    requests = get_zmq_socket(context, zmq.PULL, port_args.scheduler_input_ipc_name, False)
    outputs = get_zmq_socket(context, zmq.PUSH, port_args.tokenizer_ipc_name, False)
    arguments[-1].send({"status": "ready", "max_total_num_tokens": 1 << 20, "max_req_input_len": 1 << 17})
    step_s = float(os.environ[STEP_VARIABLE])
    running: dict[str, Answer] = {}
    due = time.perf_counter()
    while True:
        while requests.poll(0 if running else 60_000):
            received = requests.recv_pyobj()
            if isinstance(received, TokenizedGenerateReqInput):
                running[received.rid] = Answer(received, server_args.enable_metrics)
            elif isinstance(received, AbortReq):
                running.pop(received.rid, None)
        if running:
            outputs.send_pyobj(_step(running))
        due = max(due + step_s, time.perf_counter() - step_s)
        time.sleep(max(0.0, due - time.perf_counter()))


class Answer:
    def __init__(self, request, metrics):
        from sglang.srt.observability.req_time_stats import SchedulerReqTimeStats

        self.prompt_tokens = len(request.input_ids)
        self.wanted = request.sampling_params.max_new_tokens
        self.at_a_time = request.sampling_params.stream_interval or 1
        self.written = 0
        self.told = 0
        self.times = SchedulerReqTimeStats()
        self.times.enable_metrics = metrics

    def write(self):
        """Is there something to tell?"""
        self.written += 1
        return self.written == self.wanted or (self.written - 1) % self.at_a_time == 0

    def tell(self):
        """The tokens since the last time, as text and as ids."""
        ids = list(range(self.told + 1, self.written + 1))
        self.told = self.written
        return "".join("</think>" if token == 2 else f" word{token % 97}" for token in ids), ids


def _step(running):
    from sglang.srt.managers.io_struct import BatchStrOutput

    telling = {rid: answer for rid, answer in running.items() if answer.write()}
    rids, answers = list(telling), list(telling.values())
    ended = [answer.written == answer.wanted for answer in answers]
    told = [answer.tell() for answer in answers]
    count = len(rids)
    for rid in [rid for rid, end in zip(rids, ended, strict=True) if end]:
        del running[rid]
    logprobs = {f"{side}_{kind}": None for side in ("input", "output") for kind in _LOGPROBS}
    return BatchStrOutput(
        rids=rids,
        http_worker_ipcs=[None] * count,
        spec_verify_ct=[],
        spec_accepted_tokens=[],
        spec_acceptance_histogram=[],
        time_stats=[answer.times for answer in answers],
        finished_reasons=[
            {"type": "length", "length": answer.wanted} if end else None
            for answer, end in zip(answers, ended, strict=True)
        ],
        output_strs=[text for text, _ in told],
        output_ids=[ids for _, ids in told],
        prompt_tokens=[answer.prompt_tokens for answer in answers],
        completion_tokens=[answer.written for answer in answers],
        reasoning_tokens=[0] * count,
        cached_tokens=[0] * count,
        cached_tokens_details=[None] * count,
        **logprobs,
        output_token_entropy_val=None,
        output_hidden_states=None,
        routed_experts=None,
        customized_info={},
        placeholder_tokens_idx=None,
        placeholder_tokens_val=None,
        retraction_counts=[0] * count,
        load=None,
        dp_ranks=[None] * count,
    )


_LOGPROBS = (
    "token_logprobs_val", "token_logprobs_idx", "top_logprobs_val", "top_logprobs_idx",
    "token_ids_logprobs_val", "token_ids_logprobs_idx",
)  # fmt: skip


def decode_nothing(*_arguments):
    """In place of the detokenizer process."""
    while True:
        time.sleep(3600)


def main(config_path: Path) -> None:
    from sgcx.server import child
    from sgcx.server.child_config import CONFIG_VARIABLE, load_child_config
    from sgcx.server.garbage import freeze_after_warm_up

    config = load_child_config(config_path)
    os.environ[CONFIG_VARIABLE] = str(config_path)
    os.environ[child.MOUNT_VARIABLE] = child.MOUNT
    from sglang.srt.entrypoints import http_server
    from sglang.srt.server_args import prepare_server_args

    server_args = prepare_server_args(list(config.sglang_argv))
    child.guard(server_args, None)
    freeze_after_warm_up()
    http_server.launch_server(
        server_args, run_scheduler_process_func=schedule, run_detokenizer_process_func=decode_nothing
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
