#!/bin/bash
# Unpack what payload.sh packed, patch that SGLang, and run the stages: prepare.sh PAYLOAD_DIR WORKDIR OUT STAGE…
# `whole` runs the whole models, all of them or those that WHOLE names.
set -euo pipefail
payload=$1; work=$2; out=$3; shift 3
here=$(cd "$(dirname "$0")" && pwd); repo=$(cd "$here/../.." && pwd)
unpack() { PYTHONPATH="$work/extra" python3 -c 'import sys, zstandard
zstandard.ZstdDecompressor(max_window_size=2**31).copy_stream(sys.stdin.buffer, sys.stdout.buffer)' | tar -C "$work" -xf -; }
if [ ! -d "$work/sglang" ]; then
  mkdir -p "$work/extra"
  xz -dc "$payload/extra.tar.xz" | tar -C "$work/extra" -xf -
  cat "$payload"/part.* | unpack
fi
if [ -e "$payload/site16.zst" ] && [ ! -d "$work/site16" ]; then unpack < "$payload/site16.zst"; fi
if [ ! -x "$work/codex" ] && compgen -G "$payload/codex.xz*" > /dev/null; then
  cat "$payload"/codex.xz* | xz -dc > "$work/codex"
  chmod +x "$work/codex"
fi
export PUBLISHED_SGLANG="$work/published" SGLANG_0_5_16="$work/site16" CODEX_BINARY="$work/codex"
[ -d "$PUBLISHED_SGLANG" ] || cp -r "$work/sglang" "$PUBLISHED_SGLANG"
export PYTHONPATH="$repo:$here:$repo/tests:$repo/tests/e2e:$work/extra:$work/sglang:$work/site" SGCX_HOME="$work/home" HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1
python3 -m sgcx patch apply --target "$work/sglang" > "$out/patch.log" 2>&1 || { cat "$out/patch.log"; exit 1; }
cd "$here"
# Compiling the INT4 kernels takes six minutes of one core: stages that need none run meanwhile.
case " $* " in
  *" truth "* | *" whole "*) CUDA_VISIBLE_DEVICES= python3 compile_kernels.py > "$out/compile.log" 2>&1 & ;;
esac
for stage in "$@"; do
  if [ "$stage" = whole ]; then python3 whole.py "$out" ${WHOLE:-}; else python3 run.py "$out" "$stage"; fi
done
