#!/bin/sh
# The first process of a kernel of its own (_own_kernel.py). The kernel's command line gives the variables: place, where
# that kernel lies; said, where the command stands and what it says goes; name, the host's.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
mount -t proc proc /proc
mount --make-rprivate /
insmod "$place/overlay.ko"

# The machine's files lie below, and nothing that is mounted on them there is seen.
mount -t tmpfs tmpfs /mnt
mkdir /mnt/disk /mnt/root
mount -t ext4 /dev/ubda /mnt/disk
mkdir /mnt/disk/upper /mnt/disk/work /mnt/disk/own
root=/mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/disk/upper,workdir=/mnt/disk/work overlay $root
mount -t proc proc $root/proc
mount -t sysfs sysfs $root/sys
mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
mount -t devtmpfs devtmpfs $root/dev
mkdir -p $root/dev/pts $root/dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts $root/dev/pts
mount -t tmpfs tmpfs $root/dev/shm
mount -t tmpfs -o mode=755 tmpfs $root/run
# Some tests lay one file system over another, which cannot lie on one that is laid itself.
mount --bind /mnt/disk/own $root/mnt
mount -t hostfs -o "/machine$said" hostfs "$root$said"
mkdir -p $root/mnt/before
cd $root && pivot_root . mnt/before && umount -l /mnt/before
cd /
rmdir /mnt/before

ip link set lo up
hostname "$name"
chmod 1777 /mnt
# Each file of the machine that was read stays open there, where nobody may have any number of them open.
while sleep 1; do
    files=$(sed -n 's/^hostfs_inode_info *\([0-9]*\).*/\1/p' /proc/slabinfo)
    [ "$files" -lt 8000 ] || echo 2 > /proc/sys/vm/drop_caches
done &
env -u place -u said -u name TMPDIR=/mnt sh "$said/command" > "$said/output" 2>&1
echo $? > "$said/status"
sync
echo o > /proc/sysrq-trigger
sleep 60
