"""The embedded default: a tiny checkpoint with scripted answers, served by the real SGLang on a CPU.

    checkpoint      makes the model directory (tokenizer, weights, chat template); runs in the engine's Python
    sglang_models   the package SGLang loads: the real DeepSeek-V3 forward pass, then the scripted token
    conversation    rendered prompt → conversation
    rules           agent.toml → rules, checked
    templating      `{{file|shell}}` in the rules' texts
    patches         apply_patch envelopes
    agent           conversation + rules → reply, written as the model would write it
    playback        which token comes next, for every request in the engine

Everything but `checkpoint`'s main and `sglang_models` runs without torch.
"""
