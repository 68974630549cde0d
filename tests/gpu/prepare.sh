#!/bin/bash
# Unpack what payload.sh packed, patch that SGLang, and run the stages: prepare.sh PAYLOAD_DIR WORKDIR OUT STAGE…
set -euo pipefail
payload=$1; work=$2; out=$3; shift 3
here=$(cd "$(dirname "$0")" && pwd); repo=$(cd "$here/../.." && pwd)
if [ ! -d "$work/sglang" ]; then
  mkdir -p "$work"
  cat "$payload"/part.* | xz -dc -T8 | tar -C "$work" -xf -
  [ -d "$work/sglang" ] || mv "$work/s10" "$work/sglang"
  mkdir "$work/extra"; xz -dc "$payload/extra.tar.xz" | tar -C "$work/extra" -xf -
fi
export PYTHONPATH="$repo:$work/extra:$work/sglang:$work/site" SGCX_HOME="$work/home" HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1
python3 -m sgcx patch apply --target "$work/sglang" > "$out/patch.log" 2>&1 || { cat "$out/patch.log"; exit 1; }
cd "$here" && python3 run.py "$out" "$@"
