#!/usr/bin/env bash
# Measures networks on a machine's graphics card beside PyTorch on the same card: images a second of training, ten crops and features,
# each beside what the card could do if it only multiplied.
#
#   [DEVICE=cuda] [LIBTORCH=FOLDER] [PYTHON=python3] ./gpu-bench.sh [ROW,...]
#
# Runs in the folder that scripts/gpu-bundle.sh fills, as gpu-check.sh does; PYTHON needs torch and torchvision. Rows are named by what
# they begin with; all of them take half an hour, `train-alexnet` a few minutes. DEVICE=cpu tries the script itself without a card.
set -euo pipefail
bundle=$(cd "$(dirname "$0")" && pwd)
device=${DEVICE:-cuda}
. "$bundle/on-card.sh"

prepare
exec "$bundle/table" --rounds 3 --device "$device" --peers-python "$(command -v "${PYTHON:-python3}")" --rows "${1:-train,crops,features}"
