"""What a file system lies on, read from made-up trees of sysfs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from doctor.gather import medium
from doctor.gather.medium import medium_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sysfs is a matter of Linux")


def tree(root: Path, place: str, rotational: str | None, partition: str = "") -> Path:
    """A disk at ``place`` (with a partition), to which the number of the device of ``root`` leads."""
    disk = root / "devices" / place
    (disk / "queue").mkdir(parents=True)
    if rotational is not None:
        (disk / "queue/rotational").write_text(f"{rotational}\n")
    target = disk / partition if partition else disk
    target.mkdir(exist_ok=True)
    (root / "dev/block").mkdir(parents=True, exist_ok=True)
    (root / "dev/block/8:1").symlink_to(target)
    return root


@pytest.mark.parametrize(
    ("place", "rotational", "partition", "expected"),
    [
        ("pci0/ata1/block/sda", "1", "sda1", "hdd"),
        ("pci0/ata1/block/sda", "0", "sda1", "ssd"),
        ("pci0/ata1/block/sda", "0", "", "ssd"),
        ("pci0/nvme/nvme0/nvme0n1", "0", "nvme0n1p2", "nvme"),
        ("pci0/usb2/2-1/host6/block/sdb", "1", "sdb1", "usb"),
        ("pci0/virtio2/block/vda", "1", "vda1", "virtual"),
        ("platform/mmc_host/mmcblk0", "0", "mmcblk0p2", "card"),
        ("virtual/block/zram0", "0", "", "memory"),
        ("pci0/odd/block/sdc", None, "sdc1", None),
    ],
)
def test_disks(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    rotational: str | None,
    partition: str,
    expected: str,
) -> None:
    monkeypatch.setattr(medium, "_device_number", lambda _path, _source: "8:1")
    assert medium_of(tmp_path, "ext4", "/dev/x", tree(tmp_path, place, rotational, partition)) == expected


def test_a_mapped_device_is_what_lies_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path, "virtual/block/dm-0", "0")
    below = root / "devices/pci0/ata1/block/sda"
    (below / "queue").mkdir(parents=True)
    (below / "sda3").mkdir()
    (below / "queue/rotational").write_text("1\n")
    slaves = root / "devices/virtual/block/dm-0/slaves"
    slaves.mkdir()
    (slaves / "sda3").symlink_to(below / "sda3")
    monkeypatch.setattr(medium, "_device_number", lambda _path, _source: "8:1")
    assert medium_of(tmp_path, "ext4", "/dev/mapper/x", root) == "hdd"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("nfs4", "network"), ("fuse.sshfs", "network"), ("9p", "network"), ("tmpfs", "memory")],
)
def test_file_systems_without_a_disk(tmp_path: Path, kind: str, expected: str) -> None:
    assert medium_of(tmp_path, kind, None, tmp_path) == expected


def test_an_unknown_device_is_unknown(tmp_path: Path) -> None:
    assert medium_of(tmp_path, "ext4", None, tmp_path / "no-sysfs") is None
    assert medium_of(tmp_path, None, "/dev/there-is-none", tmp_path / "no-sysfs") is None


def test_this_machine(tmp_path: Path) -> None:
    known = {"nvme", "ssd", "hdd", "usb", "card", "virtual", "memory", "network", None}
    assert medium_of(tmp_path, None, None) in known
    number = medium._device_number(tmp_path, None)
    assert number is None or int(number.split(":")[0]) == os.major(tmp_path.stat().st_dev)
