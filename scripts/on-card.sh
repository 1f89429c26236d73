# To be sourced by what scripts/gpu-bundle.sh packs, with `bundle` set to its folder and `device` to the device: finds libtorch and the
# device, or gives up.
# shellcheck shell=bash
# shellcheck disable=SC2154

. "$bundle/libtorch.sh"

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }
give_up() {
    say "$*"
    exit 2
}

find_libtorch() {
    local folder package
    package=$("${PYTHON:-python3}" -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])' 2>/dev/null)
    for folder in "${LIBTORCH:-}" "$package" "$bundle/../../.deps/cuda/torch" "$bundle/../../.deps/libtorch"; do
        [ "$(version_of "$folder")" = "$torch_version" ] || continue
        [ "$device" = cpu ] || [ -e "$folder/lib/libtorch_cuda.so" ] || { say "not using $folder: its libtorch has no CUDA part"; continue; }
        libtorch=$(cd "$folder" && pwd)
        return
    done
    give_up "there is no libtorch $torch_version for $device; set LIBTORCH to one, or PYTHON to a Python with torch $torch_version"
}

# A device that is not there would make every check fail for the same reason.
check_device() {
    local hello wanted=$device
    [ "$device" != cuda ] || wanted=cuda:0
    hello=$("$bundle/packtrain-worker" --hello) || give_up "packtrain-worker does not start"
    case $hello in
    *"\"$wanted\""*) ;;
    *)
        nvidia-smi -L >&2 || say "nvidia-smi does not run: is there a driver?"
        give_up "the worker does not see the device $wanted: $hello"
        ;;
    esac
}

# The programs find libtorch afterwards, and nothing of the user's settings.
prepare() {
    find_libtorch
    export LD_LIBRARY_PATH=$libtorch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} PACKTRAIN_CUDA_LIB=$libtorch/lib
    unset PACKTRAIN_STATE PACKTRAIN_WORKER
    say "libtorch $torch_version at $libtorch"
    check_device
    "$bundle/packtrain" --version >&2
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader >&2 2>/dev/null || true
}
