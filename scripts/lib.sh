# shellcheck shell=bash
# What the scripts share. Sourced, never run; sets the working directory to the top of the checkout.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8 # ansible-core refuses other encodings

readonly POLICY_MARK="# keyfleet: packages being installed must not start their daemons"
: "${policy_file:=/usr/sbin/policy-rc.d}"

say() { printf '==> %s\n' "$*"; }

fail() {
    printf 'keyfleet: %s\n' "$*" >&2
    exit 1
}

# usage FILE: print the comment block at the top of a script, without its first line.
usage() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$1"; }

can_be_root() { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# allow_daemons: remove keyfleet's policy-rc.d and put the machine's own back, also after a killed run.
allow_daemons() {
    if grep -qsxF "$POLICY_MARK" "$policy_file"; then as_root rm -f "$policy_file"; fi
    if [ -e "$policy_file.keyfleet-saved" ] || [ -L "$policy_file.keyfleet-saved" ]; then
        as_root mv -f "$policy_file.keyfleet-saved" "$policy_file"
    fi
}

forbid_daemons() {
    allow_daemons
    if [ -e "$policy_file" ] || [ -L "$policy_file" ]; then as_root mv "$policy_file" "$policy_file.keyfleet-saved"; fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" | as_root tee "$policy_file" >/dev/null
    as_root chmod 755 "$policy_file"
}

is_installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# need_packages WHY PACKAGE...: install those that are missing; none of their daemons is started.
need_packages() (
    why=$1
    shift
    missing=()
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || exit 0
    command -v apt-get >/dev/null || fail "$why needs ${missing[*]}, which only Debian's apt-get could install here: install them, then run this again."
    can_be_root || fail "$why needs the packages ${missing[*]}: run 'apt-get install ${missing[*]}' as root, then run this again."
    say "installing ${missing[*]} ($why)"
    trap allow_daemons EXIT
    forbid_daemons
    as_root env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get -qq update && apt-get -qq install -y --no-install-recommends "$@" </dev/null >/dev/null' sh "${missing[@]}" ||
        fail "apt-get could not install ${missing[*]}, which $why needs."
)

# copy_tree DIRECTORY: copy what git would commit, uncommitted changes included, into a new directory.
copy_tree() {
    rm -rf "$1"
    mkdir -p "$1"
    git ls-files -z --cached --others --exclude-standard --deduplicate | while IFS= read -r -d '' file; do
        if [ -e "$file" ] || [ -L "$file" ]; then printf '%s\0' "$file"; fi
    done | tar --create --null --files-from=- | tar --extract --directory "$1"
}

# container_prefix: two checkouts on one machine do not share containers.
container_prefix() { printf 'keyfleet-%s' "$(pwd -P | sha256sum | cut -c 1-8)"; }
