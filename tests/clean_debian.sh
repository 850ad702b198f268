#!/usr/bin/env bash
# What README.md says under "Try it", word for word, on a Debian that has nothing else: debootstrap makes it in build/debian,
# with the certificates and the settings of pip that this machine has. As root.
#
#   tests/clean_debian.sh                 all commands of the README
#   tests/clean_debian.sh COMMAND...      these instead, in the Debian of the last time
set -euo pipefail
cd "$(dirname "$0")/.."
debian=$PWD/build/debian
tree=$debian/root/libmaze

readme() { sed -n '/^## Try it/,/^## Use it/p' README.md; }
packages=$(readme | grep -o '`apt install [^`]*`' | tr -d '`' | sed 's/apt install//' | tr '\n' ' ')
commands=$(readme | sed -n '/^```sh/,/^```/p' | grep -v '^```')

# In namespaces of its own, so that its mounts and its processes end with it.
inside() {
    unshare --mount --pid --fork --kill-child bash -ec '
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        mount -t sysfs sysfs "$1/sys"
        exec chroot "$1" /usr/bin/env --chdir="$2" bash -exc "$3"' - "$debian" "$1" "$2"
}

if [ $# = 0 ]; then
    rm -rf --one-file-system "$debian"
    mkdir -p "$debian"
    debootstrap --variant=minbase "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$debian" > build/debootstrap.log
    inside /root "apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $packages > /dev/null"
    # Afterwards, as a package may have brought certificates of its own.
    for settings in /etc/ssl/certs/ca-certificates.crt /etc/pip.conf /etc/xdg/pip ~/.config/pip; do
        [ ! -e "$settings" ] || cp -rL --parents "$settings" "$debian"
    done
fi
rm -rf "$tree" && git clone --quiet --no-hardlinks . "$tree"
inside "/${tree#"$debian"/}" "${*:-$commands}"
