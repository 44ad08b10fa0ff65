"""What kind of device a file system lies on, from sysfs."""

from __future__ import annotations

import os
from pathlib import Path

NETWORK = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "fuse.rclone", "virtiofs", "ceph", "glusterfs", "lustre")
MEMORY = ("tmpfs", "ramfs")


def medium_of(path: Path, kind: str | None, source: str | None, sys_root: Path = Path("/sys")) -> str | None:
    """ "nvme", "ssd", "hdd", "usb", "card", "virtual", "memory" or "network"; None if the kernel does not tell.

    ``kind`` is the type of the file system that holds ``path``, ``source`` what is mounted there. Raises OSError if
    ``path`` is not there.
    """
    if kind is not None and kind.startswith(NETWORK):
        return "network"
    if kind in MEMORY:
        return "memory"
    number = _device_number(path, source)
    return _of_device(sys_root / "dev/block" / number) if number else None


def _device_number(path: Path, source: str | None) -> str | None:
    """ "major:minor" of the block device. btrfs gives files a number of its own, so the mounted device goes first."""
    number = 0
    if source is not None and source.startswith("/dev/"):
        try:
            number = Path(source).stat().st_rdev
        except OSError:
            number = 0  # a container may not see the device that is mounted into it
    number = number or path.stat().st_dev
    major, minor = os.major(number), os.minor(number)
    # Major 0 are file systems without a device: overlays, btrfs, network.
    return f"{major}:{minor}" if major else None


def _of_device(link: Path, depth: int = 0) -> str | None:
    """Kind of the device at ``/sys/dev/block/X:Y``; of a mapped one (LVM, LUKS, RAID) that of what is below it."""
    device = link.resolve()
    if not device.exists() or depth > 8:
        return None
    below = sorted((device / "slaves").iterdir()) if (device / "slaves").is_dir() else []
    if below:
        return _of_device(below[0], depth + 1)
    # A partition lies within its disk.
    disk = device if (device / "queue").is_dir() else device.parent
    name, place = disk.name, str(disk)
    if name.startswith("zram"):
        return "memory"
    if name.startswith("nvme"):
        return "nvme"
    if "/usb" in place:
        return "usb"
    if name.startswith("mmcblk"):
        return "card"
    if name.startswith(("vd", "xvd")):
        # What a virtual machine calls its disk says nothing about what is behind it.
        return "virtual"
    rotational = disk / "queue/rotational"
    if not rotational.is_file():
        return None
    return "hdd" if rotational.read_text().strip() == "1" else "ssd"
