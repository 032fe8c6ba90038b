#!/bin/sh
# sh run.sh [SECONDS] [FOLDER]: kernel tests, conformance and measurements on this machine's GPU, within SECONDS (default 360). Writes gpu-CARD.json
# (for docs/benchmarks/), .md and .log to FOLDER (default: here). Only the shell's own words: a bare machine may have no other.
case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
here=$(cd "$here" && pwd) || exit 2
# Our Vulkan loader first. NVIDIA's libraries lie in the last two in containers.
export LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}:/usr/local/nvidia/lib64:/usr/local/nvidia/lib"
# C++'s libraries only where the machine has none: they would shadow newer ones.
"$here/bin/node" -e 0 2>/dev/null || export LD_LIBRARY_PATH="$LD_LIBRARY_PATH:$here/lib/c++"
exec "$here/bin/node" "$here/tests/bundle/main.js" "$@"
