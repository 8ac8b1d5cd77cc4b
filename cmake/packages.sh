# SPDX-License-Identifier: Apache-2.0
#
# Sourced by examples/hello/run and tests/run: which Debian packages are needed, and a
# function that installs them.

packages_build="g++ cmake ninja-build libarchive-dev libboost-dev nettle-dev nlohmann-json3-dev
  libisal-dev libzstd-dev liblzma-dev libelf-dev librange-v3-dev libyaml-cpp-dev"
packages_hello="$packages_build busybox-static"
packages_tests="$packages_hello bsdutils catch2 clang fish fuse3 iproute2
  libclang-rt-dev libfabric-bin libfabric-dev libmpich-dev libopenmpi-dev libseccomp-dev man-db
  mmdebstrap mpich munge openmpi-bin passwd pkgconf slurm-client slurmctld slurmd
  squashfs-tools squashfuse strace uidmap util-linux xz-utils zsh"
packages_peers="bzip2 charliecloud isal libarchive-tools mmdebstrap skopeo umoci zstd"

# need_packages PACKAGE...: as root, installs those that are missing; otherwise names them and
# fails. On a system without dpkg, does nothing: CMake reports what it does not find.
need_packages() {
  command -v dpkg-query > /dev/null || return 0
  missing=
  for package; do
    case $(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2> /dev/null) in
      installed*) ;;
      *) missing="$missing $package" ;;
    esac
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    echo "These Debian packages are missing:$missing" >&2
    echo "Install them and try again: sudo apt-get install$missing" >&2
    exit 1
  fi
  echo "Installing Debian packages:$missing"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  # Some have daemons (Slurm's), which installation must not start.
  policy=/usr/sbin/policy-rc.d
  if [ -e $policy ]; then policy=; else printf '#!/bin/sh\nexit 101\n' > $policy && chmod +x $policy; fi
  # shellcheck disable=SC2086  # a list of words
  if ! { apt-get update && apt-get install --yes --no-install-recommends $missing; } > "$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log" "$policy"
    exit 1
  fi
  rm -f "$log" "$policy"
}

# build_folder DIR: prints where to build the sources in DIR: in DIR itself if it is writable,
# else in the user's cache directory.
build_folder() {
  if [ -w "$1/build" ] || { [ ! -e "$1/build" ] && [ -w "$1" ]; }; then
    echo "$1/build"
  else
    echo "${XDG_CACHE_HOME:-$HOME/.cache}/charlie"
  fi
}
