#!/bin/bash
# Packs SGLang 0.5.10.post1 for a Hopper host with Python 3.12, torch 2.11 for CUDA 13 and nvcc, but no package index:
#   payload.sh WORKDIR      leaves part.aa, part.ab (84 MB together) and extra.tar.xz (15 MB) there,
#                           and codex.xz.aa, codex.xz.ab (80 MB), which only the stage `codex` needs
# Of the kernel wheel's 1.17 GB, 1.07 are FlashAttention 3, which shrinks to what latent attention on Hopper loads.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); mkdir -p "$1"; cd "$1"
. "$here/wheels.sh"
while read -r requirement; do fetch wheels "$requirement"; done < "$here/requirements-py312.txt"
fetch kernel sglang-kernel==0.4.2.post2
fetch engine sglang==0.5.10.post1
rm -rf site sglang; mkdir site sglang
for wheel in wheels/*.whl; do unzip -q -o "$wheel" -d site; done
unzip -q -o kernel/*.whl -d site -x 'sgl_kernel/sm100/*' 'lib/*' '_mscclpp*'
python3 "$here/prune_fa3.py" site/sgl_kernel/flash_ops.abi3.so flash_ops && mv flash_ops site/sgl_kernel/flash_ops.abi3.so
unzip -q -o engine/*.whl -d sglang
# What nothing here loads.
rm -rf site/include site/pycountry/locales site/xgrammar/lib/*.a site/mistral_common/data/tekken* site/llguidance/_lib*
tar -cf - site sglang | zstd -q -T0 -15 --long=31 | split -b 60000000 - part.
python3 -c 'import tomllib; print(*tomllib.load(open("'"$here"'/../../pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' > sgcx.txt
python3 -m pip install -q --target extra --python-version 3.12 --implementation cp --only-binary=:all: "${platforms[@]}" \
  -r sgcx.txt fastapi==0.135.3 starlette==1.0.0 uvloop==0.22.1 httptools pybase64 setproctitle
rm -rf extra/{pydantic,pydantic_core,orjson,huggingface_hub,hf_xet}*   # the host's own, or those in site
tar -C extra -cf - . | xz -T0 -6 > extra.tar.xz
# One program that needs neither Node nor any library.
npm pack --silent @openai/codex@0.169.0-linux-x64 > /dev/null
tar -xzOf openai-codex-*.tgz package/vendor/x86_64-unknown-linux-musl/bin/codex | xz -T0 -6 | split -b 60000000 - codex.xz.
ls -l part.* extra.tar.xz codex.xz.*
