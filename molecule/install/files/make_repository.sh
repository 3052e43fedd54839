#!/bin/sh
# Make a signed apt repository from the distribution's own packages of Redis, with versions and an intruder of our own.
# Usage: make_repository.sh DIRECTORY     (as root; leaves DIRECTORY/key.asc, DIRECTORY/other.asc and DIRECTORY/dists)
set -eu

top=$1
pool=$top/pool
work=$top/work
GNUPGHOME=$top/gnupg
export GNUPGHOME
mkdir -p "$pool" "$work/deb" "$top/dists/stable/main/binary-amd64"
install -d -m 0700 "$GNUPGHOME"

for name in repository other; do
    gpg --batch --quiet --passphrase '' --quick-generate-key "$name@example.org" ed25519 sign never
    gpg --armor --export "$name@example.org" >"$top/$name.asc"
done

# packed DIRECTORY: build the package that lies there, with root as the owner of its files.
packed() { dpkg-deb --root-owner-group --build "$1" "$pool" >/dev/null; }

cd "$work"
apt-get -qq download -o APT::Sandbox::User=root redis-server redis-tools
for build in 1 2; do
    for package in redis-server redis-tools; do
        rm -rf deb
        dpkg-deb --raw-extract "$package"_*.deb deb
        # The epoch is higher than Debian's, as in the vendor's own packages; both packages must be of one version.
        sed -i -E "s/^Version: .*/Version: 6:7.0.15-1example$build/; s/redis-tools \(= [^)]*\)/redis-tools (= 6:7.0.15-1example$build)/" deb/DEBIAN/control
        packed deb
    done
done

# What must never come from here: a package of the distribution in a version that apt would take for an upgrade.
rm -rf deb
mkdir -p deb/DEBIAN
printf 'Package: procps\nVersion: 99:1\nArchitecture: amd64\nMaintainer: intruder <intruder@example.org>\nDescription: an intruder\n' >deb/DEBIAN/control
packed deb

cd "$top"
apt-ftparchive packages pool >dists/stable/main/binary-amd64/Packages
apt-ftparchive -o APT::FTPArchive::Release::Origin=example -o APT::FTPArchive::Release::Label=example \
    -o APT::FTPArchive::Release::Codename=stable -o APT::FTPArchive::Release::Components=main \
    -o APT::FTPArchive::Release::Architectures=amd64 release dists/stable >"$work/Release"
gpg --batch --quiet --local-user repository@example.org --clearsign --output dists/stable/InRelease "$work/Release"
rm -rf "$work"
