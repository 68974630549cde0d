"""What SGLang loads as `SGLANG_EXTERNAL_MODEL_PACKAGE=whole_models`: weights without meaning, work as in earnest."""
