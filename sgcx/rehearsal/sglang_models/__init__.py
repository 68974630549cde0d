"""What SGLang loads as `SGLANG_EXTERNAL_MODEL_PACKAGE=sgcx.rehearsal.sglang_models`: one module per architecture."""
