#!/bin/sh
# Makes lib/compression/zstd-wasm-bytes.ts of the sources of zstd that the package zstd-napi has: run it when that changes.
# Needs zig, which comes from PyPI: `pip install ziglang==0.13.0.post1`. The same sources and zig give the same bytes.
set -eu
cd "$(dirname "$0")/.."
sources=node_modules/zstd-napi/deps/zstd/lib
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
set --
for name in malloc free ZSTD_createCCtx ZSTD_freeCCtx ZSTD_CCtx_setParameter ZSTD_compress2 ZSTD_createDCtx ZSTD_freeDCtx \
  ZSTD_DCtx_setParameter ZSTD_decompressDCtx ZSTD_decompressStream ZSTD_isError ZSTD_getErrorName ZSTD_compressBound \
  ZSTD_versionString ZSTD_getFrameContentSize ZSTD_findFrameCompressedSize; do
  set -- "$@" "-Wl,--export=$name"
done
python3 -m ziglang cc -target wasm32-wasi -mexec-model=reactor -O3 -DNDEBUG -DZSTD_LEGACY_SUPPORT=0 -DZSTD_NO_TRACE \
  -fno-sanitize=all -s "-I$sources" "$sources"/common/*.c "$sources"/compress/*.c "$sources"/decompress/*.c \
  "$@" -Wl,--no-entry -o "$made/zstd.wasm"
{
  echo '/** zstd as WebAssembly: gzip in base 64, made by `tools/zstd-wasm.sh`. zstd is by Meta Platforms, under the BSD license. */'
  echo
  echo 'export const ZSTD_WASM ='
  echo "  '$(gzip -9 -n -c "$made/zstd.wasm" | base64 -w 0)';"
} > lib/compression/zstd-wasm-bytes.ts
