# Makes a machine of its own inside this one, and runs the commands of one document in it: see book.rs.
#
# Runs in new mount, network and process namespaces. $HELIOSTAT is the program, $FOLDER a scratch folder with `hosts`,
# `rsyncd.conf` and `commands`, which book.rs has written.
set -eu
mount -t tmpfs tmpfs "$FOLDER/disk"
root=$FOLDER/disk/root
mkdir -p "$root"
# What a machine has of its own can be written; the programs are the real ones.
for name in bin lib lib64 sbin usr etc var; do
    [ -e "/$name" ] || continue
    if [ -L "/$name" ]; then
        cp -P "/$name" "$root/$name"
    else
        mkdir -p "$root/$name" "$FOLDER/disk/$name.upper" "$FOLDER/disk/$name.work"
        mount -t overlay overlay \
            -o "lowerdir=/$name,upperdir=$FOLDER/disk/$name.upper,workdir=$FOLDER/disk/$name.work" "$root/$name"
    fi
done
mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/run" "$root/root" "$root/home"
for shared in dev proc sys; do mount --rbind "/$shared" "$root/$shared"; done
cp "$FOLDER/hosts" "$root/etc/hosts"
cp "$FOLDER/rsyncd.conf" "$FOLDER/commands" "$FOLDER/document.md" "$root/tmp/"
# Copies, since the program may stand below a folder that is another file system.
install -m 755 "$HELIOSTAT" "$root/usr/bin/heliostat"
mkdir -p "$root/etc/heliostat" "$root/var/lib/heliostat" "$root/srv/mirror" "$root/upstream"
# What other mirror programs leave, for those who come from them.
cp -r "$FIXTURES/mirror-sync-api" "$root/srv/"
mkdir -p "$root/etc/tunasync" && cp "$FIXTURES/tunasync/every-option.conf" "$root/etc/tunasync/worker.conf"
(cd "$root/upstream" && while read -r path; do
    mkdir -p "$path/pool" && echo index >"$path/index.txt" && echo data >"$path/pool/file-1.dat" && date >"$path/timestamp"
done <"$FOLDER/trees")
if command -v ip >/dev/null; then
    ip link set lo up
else
    # SIOCSIFFLAGS, IFF_UP: what `ip link set lo up` does.
    python3 -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 1))'
fi
while read -r shim; do
    printf '#!/bin/sh\nexit 0\n' >"$root/usr/local/bin/$shim" && chmod 755 "$root/usr/local/bin/$shim"
done <"$FOLDER/shims"
exec chroot "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/tmp TERM=dumb \
    bash /tmp/commands
