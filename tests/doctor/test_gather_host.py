"""Readers of /proc, control groups, disks, environment and interpreter."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor import cgroup
from doctor.facts import Cpu
from doctor.gather import host
from doctor.gather.disks import model_cache, read_disks
from doctor.gather.environment import NAMES, read_environment
from doctor.gather.host import FLAGS, find_container, parse_clock, parse_cpuinfo
from doctor.gather.redact import HIDDEN, Redactor

NOBODY = Redactor("", "")
ADA = Redactor("/home/ada", "ada")


def tree(root: Path, membership: str, mounts: str, files: dict[str, str]) -> Path:
    """A made-up /proc/self and control-group tree below ``root``; returns the /proc/self."""
    proc = root / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text(membership)
    (proc / "mountinfo").write_text(mounts)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return proc


V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"


def test_version_2_takes_the_tightest_limit_of_all_levels(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/box/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/box/memory.max": "4294967296\n",
        "sys/fs/cgroup/box/memory.current": "3221225472\n",
        "sys/fs/cgroup/box/memory.stat": "anon 1\ninactive_file 1073741824\n",
        "sys/fs/cgroup/box/inner/cpu.max": "max 100000\n",
        "sys/fs/cgroup/box/inner/memory.max": "max\n",
    }
    proc = tree(tmp_path, "0::/box/inner\n", V2, files)
    assert cgroup.read_limits(proc, tmp_path) == cgroup.Limits(1.5, 4 * 2**30, 2 * 2**30)


def test_version_1_in_a_container_that_sees_the_path_of_its_host(tmp_path: Path) -> None:
    mounts = (
        "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
        "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
        "36 31 0:33 /docker/abc /sys/fs/cgroup/devices ro - cgroup cgroup rw,devices\n"
    )
    files = {
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "2147483648\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "1073741824\n",
    }
    proc = tree(tmp_path, "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n", mounts, files)
    assert cgroup.read_limits(proc, tmp_path) == cgroup.Limits(2.0, 2 * 2**30, 2**30)


def test_no_limit_is_none(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "1\n",
    }
    mounts = "35 31 0:32 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    proc = tree(tmp_path, "4:memory:/\n", mounts, files)
    assert cgroup.read_limits(proc, tmp_path) == cgroup.Limits()


@given(st.text())
def test_any_text_is_a_membership_and_a_table_of_mounts(text: str) -> None:
    assert all(path.startswith("/") for path in cgroup.parse_membership(text).values())
    assert all(mount.controllers is not None for mount in cgroup.parse_mounts(text))


@given(st.integers(1, 10**9), st.integers(1, 10**6))
def test_cpu_max_is_quota_over_period(quota: int, period: int) -> None:
    assert cgroup.parse_cpu_max(f"{quota} {period}\n") == quota / period
    assert cgroup.parse_cpu_max(f"max {period}\n") is None


@given(st.text(max_size=30))
def test_limits_are_read_or_refused_with_a_value_error(text: str) -> None:
    for parse in (cgroup.parse_cpu_max, cgroup.parse_bytes):
        try:
            value = parse(text)
        except ValueError:
            continue
        assert value is None or value >= 0


@given(st.integers(0, 2**62))
def test_a_memory_limit_reads_back_unless_it_means_none(count: int) -> None:
    assert cgroup.parse_bytes(f"{count}\n") == (count if count < cgroup.NO_LIMIT else None)


def test_cpuinfo_of_x86_and_of_arm() -> None:
    x86 = "processor\t: 0\nmodel name\t: AMD EPYC 9654\nflags\t\t: fpu avx2 avx512_bf16 sse\nprocessor : 1\n"
    assert parse_cpuinfo(x86) == ("AMD EPYC 9654", ("avx2", "avx512_bf16"))
    arm = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd bf16 i8mm\n"
    assert parse_cpuinfo(arm) == (None, ("asimd", "bf16", "i8mm"))


def test_the_clock_is_the_highest_of_all_cores() -> None:
    assert parse_clock("cpu MHz\t\t: 800.000\nflags\t: avx2\ncpu MHz\t\t: 4700.1\n") == 4700.1
    assert parse_clock("BogoMIPS\t: 50.00\n") is None


def test_the_governor_and_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpufreq").mkdir()
    (tmp_path / "cpufreq/scaling_governor").write_text("powersave\n")
    (tmp_path / "cpufreq/scaling_driver").write_text("intel_pstate\n")
    monkeypatch.setattr(host, "_SCALING", tmp_path / "cpufreq")
    cpu = host.read_host({}, NOBODY).parts["cpu"]
    assert isinstance(cpu, Cpu)
    assert (cpu.governor, cpu.scaling_driver) == ("powersave", "intel_pstate")


def test_a_machine_without_frequency_scaling_tells_no_governor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_SCALING", tmp_path)
    reading = host.read_host({}, NOBODY)
    cpu = reading.parts["cpu"]
    assert isinstance(cpu, Cpu)
    assert (cpu.governor, cpu.scaling_driver) == (None, None)
    assert {"cpu.governor", "cpu.scaling_driver"} <= {miss.what for miss in reading.unread}


@given(st.text())
def test_any_cpuinfo_gives_known_flags_or_none(text: str) -> None:
    model, flags = parse_cpuinfo(text)
    assert model is None or model in text
    assert flags is None or set(flags) <= FLAGS


@pytest.mark.parametrize(
    ("mark", "content", "environ", "expected"),
    [
        (None, "", {}, ""),
        (".dockerenv", "", {}, "docker"),
        ("run/.containerenv", "", {}, "podman"),
        ("proc/1/cgroup", "1:name=systemd:/lxc/box\n", {}, "lxc"),
        ("proc/1/cgroup", "0::/init.scope\n", {}, ""),
        (None, "", {"container": "systemd-nspawn"}, "systemd-nspawn"),
        (".dockerenv", "", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "kubernetes"),
    ],
)
def test_containers_are_known_by_their_marks(
    tmp_path: Path, mark: str | None, content: str, environ: dict[str, str], expected: str
) -> None:
    if mark:
        (tmp_path / mark).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / mark).write_text(content)
    assert find_container(environ, tmp_path) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ada/models", "~/models"),
        ("/home/adamant/models", "~/models"),
        ("/home/bob/models:/opt/lib", "~/models:/opt/lib"),
        ("C:\\Users\\bob\\AppData", "~\\AppData"),
        ("/data/ada/hub", "/data/~/hub"),
        ("/data/canada/hub", "/data/canada/hub"),
        ("https://me:secret@host/simple?token=1", f"https://{HIDDEN}@host/simple?{HIDDEN}"),
        ("hf_abcdefghijklmnop", HIDDEN),
    ],
)
def test_names_and_secrets_are_taken_out(text: str, expected: str) -> None:
    assert ADA.text(text) == expected


def test_a_name_that_is_a_common_word_is_left_alone() -> None:
    assert Redactor("/root", "root").text("/opt/root/lib:/root/models") == "/opt/root/lib:~/models"


@given(st.text())
def test_the_home_folder_never_survives(text: str) -> None:
    assert "/home/ada" not in ADA.text(f"{text}/home/ada/{text}")


def test_only_variables_that_matter_are_read_and_secrets_are_hidden() -> None:
    environ = {
        "HF_TOKEN": "abc",
        "OMP_NUM_THREADS": "4",
        "AWS_SECRET_ACCESS_KEY": "x",
        "HF_HOME": "/home/ada/hf",
    }
    values = read_environment(environ, ADA).parts["environment"]
    assert values == {"HF_TOKEN": HIDDEN, "OMP_NUM_THREADS": "4", "HF_HOME": "~/hf"}
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}, "/a"),
        ({"HUGGINGFACE_HUB_CACHE": "/c", "HF_HOME": "/b"}, "/c"),
        ({"HF_HOME": "/b"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
    ],
)
def test_the_model_cache_is_where_huggingface_hub_looks(environ: dict[str, str], expected: str) -> None:
    assert model_cache(environ) == Path(expected)


def test_a_cache_that_does_not_exist_yet_has_the_space_of_its_disk(tmp_path: Path) -> None:
    reading = read_disks({"HF_HOME": str(tmp_path / "not" / "there")}, NOBODY)
    cache = next(disk for disk in reading.parts["disks"] if disk.purpose == "model cache")
    assert cache.free and cache.total and cache.free <= cache.total
    assert cache.kind
    # In a container the file system may hide what it lies on.
    assert [miss.what for miss in reading.unread if not miss.what.endswith(".medium")] == []
