"""A launch plan as SGLang's command line and environment. No secret ever passes through here."""

from __future__ import annotations

from sgcx.planning.flags import flag_name
from sgcx.planning.plan import LaunchPlan


def build_argv(
    plan: LaunchPlan,
    *,
    model_path: str,
    served_model_name: str,
    host: str,
    port: int,
    chat_template: str | None = None,
    node_rank: int = 0,
) -> tuple[str, ...]:
    """SGLang's server arguments only: who starts Python, and how, is the supervisor's business.

    `chat_template`: a file that takes the place of the model's own template. `node_rank`: of a plan for several nodes,
    the one that this command line is for; the first serves.
    """
    argv = [
        *("--model-path", model_path),
        *("--served-model-name", served_model_name),
        *("--host", host),
        *("--port", str(port)),
        *(("--chat-template", chat_template) if chat_template is not None else ()),
        *(("--node-rank", str(node_rank)) if plan.node_count > 1 else ()),
    ]
    for decision in plan.decisions:
        argv.append(flag_name(decision.name, plan.sglang_version))
        if decision.value is not True:
            argv.append(str(decision.value))
    return tuple(argv)


def build_environment(plan: LaunchPlan) -> dict[str, str]:
    """What to set on top of the user's own environment."""
    return {
        # The default, five seconds, is shorter than a client's pool keeps a connection.
        "SGLANG_TIMEOUT_KEEP_ALIVE": "120",
        # A health check waits its turn behind long prefills.
        "SGLANG_HEALTH_CHECK_TIMEOUT": "120",
        **{decision.name: str(decision.value) for decision in plan.environment},
    }
