#!/bin/bash
# Installs what the tests need, where it is missing, and runs them all.
set -euo pipefail
cd "$(dirname "$0")/.."

# program=Debian package
needed=(
    cc=gcc
    lxc=lxd-client
    lxc-start=lxc
    busybox=busybox-static
    curl=curl
    strace=strace
    faketime=faketime
    systemd-socket-activate=systemd
    mksquashfs=squashfs-tools
    tar=tar
    bsdtar=libarchive-tools
    bzip2=bzip2
    lz4=lz4
    pigz=pigz
    xdelta3=xdelta3
    xz=xz-utils
    zstd=zstd
    python3=python3
    timeout=coreutils
    unshare=util-linux
    mount=mount
    ip=iproute2
    chattr=e2fsprogs
    qemu-img=qemu-utils
)
pylxd=2.4.2

if [ "$(id -u)" -ne 0 ]; then
    echo "tests/run.sh: run it as root: some tests mount file systems of their own" >&2
    exit 1
fi

packages=()
for pair in "${needed[@]}"; do
    command -v "${pair%%=*}" >/dev/null || packages+=("${pair#*=}")
done
# Debian's python3 can make a virtual environment only with this package.
has() { python3 -c "import $1" 2>/dev/null; }
if ! has pylxd && ! has ensurepip; then
    packages+=(python3-venv)
fi
if [ "${#packages[@]}" -gt 0 ]; then
    echo "installing: ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -q -y --no-install-recommends "${packages[@]}"
fi

if ! has pylxd; then
    python=${CARGO_TARGET_DIR:-target}/test-python
    if ! "$python/bin/python3" -c 'import pylxd' 2>/dev/null; then
        python3 -m venv "$python"
        "$python/bin/pip" install -q "pylxd==$pylxd"
    fi
    LXIMAGED_TEST_PYTHON=$(realpath -s "$python/bin/python3")
    export LXIMAGED_TEST_PYTHON
fi

cargo test --locked "$@"
