"""The reader of ``.dist-info`` folders against ``importlib.metadata``, on this installation and on odd ones."""

import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from doctor.gather import dist_info
from doctor.gather.dist_info import find, normalised, read


def test_it_reads_what_importlib_metadata_reads_of_everything_installed_here() -> None:
    names = {normalised(one.metadata["Name"]) for one in metadata.distributions()}
    found = find(sorted(names))
    assert list(found) == sorted(names)
    assert any(found.values()), "nothing was read without the library"
    for name, folder in found.items():
        there, here = metadata.distribution(name), read(name, folder)
        assert (here.version, here.requires) == (there.version, tuple(there.requires or ())), name
        assert here.place.resolve() == Path(str(there.locate_file(""))).resolve()


def info(folder: Path, name: str, text: str) -> Path:
    made = folder / name
    made.mkdir(parents=True)
    (made / "METADATA").write_text(text)
    return made


def test_headers_end_at_the_description_and_may_be_folded(tmp_path: Path) -> None:
    text = (
        "Name: a\nVERSION: 1.0\nLicense: one\n        \n        two\nRequires-Dist: torch\n >=2\n"
        "Requires-Dist: numpy\n\nVersion: 9\nRequires-Dist: no\n"
    )
    folder = info(tmp_path, "A_b-1.0.dist-info", text)
    assert find(["a-b", "c"], [str(tmp_path)]) == {"a-b": folder}
    found = read("a-b", folder)
    assert (found.version, found.requires) == ("1.0", ("torch\n >=2", "numpy"))


def test_the_first_folder_of_the_path_counts_and_missing_ones_do_not_matter(tmp_path: Path) -> None:
    first = info(tmp_path / "one", "a-1.dist-info", "Version: 1\n")
    info(tmp_path / "two", "a-2.dist-info", "Version: 2\n")
    path = [str(tmp_path / "none"), str(tmp_path / "one"), str(tmp_path / "two")]
    assert find(["a"], path) == {"a": first}


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    folder = info(tmp_path, "a-1.dist-info", "Version: 1\n")
    assert read("a", find(["a"], [str(tmp_path)])["a"]).version == "1"
    (folder / "METADATA").write_text("Version: 2\n")
    assert read("a", find(["a"], [str(tmp_path)])["a"]).version == "2"
    (folder / "METADATA").unlink()
    with pytest.raises(OSError, match="METADATA"):
        read("a", find(["a"], [str(tmp_path)])["a"])


def egg(folder: Path) -> None:
    (folder / "a.egg-info").mkdir()
    (folder / "a.egg-info" / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: a\nVersion: 3\n")


def packed(folder: Path) -> None:
    with zipfile.ZipFile(folder / "libs.zip", "w") as file:
        file.writestr("a-3.dist-info/METADATA", "Metadata-Version: 2.1\nName: a\nVersion: 3\n")
    sys.path.insert(0, str(folder / "libs.zip"))


@pytest.mark.parametrize("arrange", [egg, packed])
def test_what_lies_elsewhere_is_left_to_the_library(tmp_path, monkeypatch, arrange) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    arrange(tmp_path)
    assert find(["a", "b"]) == {"a": None}
    assert read("a", None).version == "3"


def test_so_is_everything_where_somebody_installed_a_finder(monkeypatch) -> None:
    class Finder:
        def find_spec(self, *_): ...

        def find_distributions(self, *_):
            return ()

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert find(["pytest", "not-installed"]) == {"pytest": None}
    assert dist_info.read("pytest", None).version == pytest.__version__
