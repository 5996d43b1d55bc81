#!/usr/bin/env bash
# Builds a real llama-server, text only, for the tests of HTTP engines: from the llama.cpp source bundle inside the npm
# package node-llama-cpp, against the libraries that the package brings. Needs git and g++ (C++17), no network.
# usage: build.sh OUT   leaves OUT/llama-server; run it with OUT/lib as working directory, where it finds its backends.
set -euo pipefail
out=$1
modules=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../node_modules" && pwd -P)
package=$(readlink -f "$modules/node-llama-cpp")
binaries=$(readlink -f "$modules/@node-llama-cpp")/linux-x64/bins/linux-x64
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

git -c advice.detachedHead=false clone -q "$package/llama/gitRelease.bundle" "$work/src"
cd "$work/src"
mkdir "$work/gen" "$work/obj"
# The web page of the server is left out.
sed -e 's/#cmakedefine LLAMA_UI_HAS_ASSETS 1//' -e 's/@N_ASSETS@/0/g' tools/ui/ui.h.in >"$work/gen/ui.h"
sed -e 's/@N_ASSETS@/0/g' -e 's/@ASSET_[A-Z]*@//' -e 's/@USE_GZIP@/false/' tools/ui/ui.cpp.in >"$work/gen/ui.cpp"

flags=(-std=c++17 -O1 -fPIC -w -DNDEBUG -DLLAMA_SUBPROCESS -DLLAMA_SHARED -DGGML_SHARED -DGGML_BACKEND_SHARED
  -I"$work/gen" -I. -Iinclude -Icommon -Iggml/include -Ivendor -Itools/mtmd -Itools/server)
printf '%s\n' tools/server/*.cpp "$work/gen/ui.cpp" |
  xargs -P "$(nproc)" -I{} sh -c 'exec nice g++ "$@" -c {} -o "$0/$(basename {} .cpp).o"' "$work/obj" "${flags[@]}"

# Pictures and sound (mtmd) are left out: a model without a projector calls none of it, but for the name of a marker.
nm --defined-only "$work"/obj/*.o | awk 'NF == 3 { print $3 }' | sort -u >"$work/defined"
nm -u "$work"/obj/*.o | awk '$1 == "U" && $2 ~ /mtmd/ { print $2 }' | sort -u | comm -23 - "$work/defined" >"$work/missing"
{
  echo 'marker: .string "<__media__>"'
  while read -r name; do
    printf '.globl %s\n%s:\n' "$name" "$name"
    case $name in *mtmd_default_marker*) echo 'lea marker(%rip), %rax' ;; *) echo 'xor %eax, %eax' ;; esac
    echo ret
  done <"$work/missing"
  echo '.section .note.GNU-stack,"",@progbits'
} >"$work/missing.s"
g++ -c "$work/missing.s" -o "$work/obj/missing.o"

library() { ls "$binaries"/lib"$1"*.so | head -1; }
mkdir -p "$out"
nice g++ "$work"/obj/*.o "$(library llama-common)" "$(library llama.v)" "$(library ggml.v)" "$(library ggml-base)" \
  -pthread -Wl,-rpath,"$binaries" -o "$out/llama-server.tmp"
ln -sfn "$binaries" "$out/lib"
mv "$out/llama-server.tmp" "$out/llama-server"
