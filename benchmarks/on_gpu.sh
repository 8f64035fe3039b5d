#!/usr/bin/env bash
# Everything that a GPU is asked for, in one command, from a checkout and one file of images, without a network:
#
#     bash benchmarks/on_gpu.sh cifar10.zip OUTPUT
#     bash benchmarks/on_gpu.sh cifar10.zip OUTPUT --device cpu --quick     # does it run to its end?
#
# The ZIP, or folder, holds train/CLASS/*.jpg and test/CLASS/*.jpg. Tables and networks are written to OUTPUT as they are made, so
# that a run that is cut short leaves what it had. MINUTES (10) is how long all of it may take.
set -uo pipefail
started=$SECONDS
images=$(realpath "${1:?usage: on_gpu.sh IMAGES OUTPUT [--device cpu --quick]}")
output=$(mkdir -p "${2:?where to write}" && realpath "$2")
shift 2
cd "$(dirname "$0")/.." || exit 1
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1
python=${PYTHON:-python3}

"$python" - <<'PYTHON' || exit 1
import importlib.util, sys
needed = ("torch", "torchvision", "numpy", "scipy", "h5py", "pandas", "yaml", "PIL", "psutil")
missing = [name for name in needed if importlib.util.find_spec(name) is None]
sys.exit(f"error: {sys.executable} lacks {', '.join(missing)}: bring their wheels" if missing else 0)
PYTHON

say() { echo "== $* ($((SECONDS - started)) s)"; }

say "the machine"
{ nvidia-smi; "$python" -c 'import torch; print(torch.__version__)'; } > "$output/machine.txt" 2>&1

if "$python" -c 'import pytest, hypothesis' 2> /dev/null; then
  say "the tests that need a GPU"
  timeout 120 "$python" -m pytest -q -p no:cacheprovider tests/training/test_cuda.py tests/search/test_candidates_on_gpu.py \
    > "$output/tests.txt" 2>&1
  tail -n 3 "$output/tests.txt"
fi

say "the engine's share of the peak, recorded steps, candidates that share the device"
timeout $((${MINUTES:-10} * 15)) "$python" -m benchmarks.gpu "$@" > "$output/gpu.md" 2> "$output/gpu.log"
echo "   exit code $?"

say "VGG-small by the paper's recipe on these images, for the rest of the time"
"$python" -m benchmarks.cifar10_gpu --images "$images" --output "$output" \
  --seconds $((${MINUTES:-10} * 60 - (SECONDS - started))) "$@" 2>&1 | tee "$output/cifar10.log"
code=${PIPESTATUS[0]}
say "done"
exit "$code"
