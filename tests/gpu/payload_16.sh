#!/bin/bash
# Packs what SGLang 0.5.16, as published, needs before payload.sh's folders on the path to serve a dense model:
#   payload_16.sh WORKDIR      leaves site16.zst (35 MB) there
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); mkdir -p "$1"; cd "$1"
. "$here/wheels.sh"
for requirement in sglang==0.5.16 transformers==5.12.1 flashinfer_python==0.6.14 xgrammar==0.2.1 apache-tvm-ffi==0.1.11
do fetch wheels16 "$requirement"; done
fetch kernel16 sglang-kernel==0.4.5
rm -rf site16; mkdir site16
for wheel in wheels16/*.whl; do unzip -q -o "$wheel" -d site16; done
unzip -q -o kernel16/*.whl -d site16 -x 'sgl_kernel/sm100/*' 'sgl_kernel/fla*_ops*' 'sgl_kernel/infllm_ops*'
# What nothing here loads; xgrammar's library is symbols for a debugger, but for 2 MB.
rm -rf site16/xgrammar/lib site16/flashinfer/data/cutlass/{examples,python,test}
strip --strip-unneeded site16/xgrammar/*.so
tar -cf - site16 | zstd -q -f -T0 -15 --long=31 -o site16.zst
ls -l site16.zst
