from __future__ import annotations

import re
from pathlib import Path

import pytest

from deel_seg.data.pairs import examples_of, find_root, pair_by_stem, read_list, select_stems
from deel_seg.data.read import ThresholdLabels
from tests.data.files import image_of, write_folder, write_picture


def test_root_is_the_argument_or_found_below_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "second").mkdir()
    monkeypatch.setenv("DEEL_SEG_DATA", str(tmp_path))
    assert find_root("mine", None, ("first", "second"), "files") == tmp_path / "second"
    assert find_root("mine", tmp_path, ("first",), "files") == tmp_path


def test_a_missing_root_says_what_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEEL_SEG_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"DEEL_SEG_DATA is not set.*Expected: a/b.png"):
        find_root("mine", None, ("mine",), "a/b.png")
    monkeypatch.setenv("DEEL_SEG_DATA", str(tmp_path))
    looked = re.escape(f"Looked for: {tmp_path / 'mine'}, {tmp_path / 'Mine'}. Expected: a/b.png")
    with pytest.raises(FileNotFoundError, match=looked):
        find_root("mine", None, ("mine", "Mine"), "a/b.png")
    with pytest.raises(FileNotFoundError, match=r"'mine': `root` must be an existing folder"):
        find_root("mine", tmp_path / "nowhere", ("mine",), "a/b.png")


def test_lists_skip_comments_and_refuse_short_lines(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("# head\na b\n\nc d e\n")
    assert read_list(path, "files", columns=2) == [["a", "b"], ["c", "d", "e"]]
    path.write_text("a b\nc\n")
    with pytest.raises(ValueError, match=r"Line 2 of .*list.txt must hold at least 2 words.*'c'"):
        read_list(path, "files", columns=2)
    with pytest.raises(FileNotFoundError, match=r"none.txt does not exist. Expected: files"):
        read_list(tmp_path / "none.txt", "files", columns=2)


def test_pairs_are_sorted_by_name(tmp_path: Path) -> None:
    write_folder(tmp_path, ["b", "a.x", "c"])
    (tmp_path / "images" / ".hidden").touch()
    pairs = pair_by_stem(tmp_path / "images", tmp_path / "masks", "files")
    assert [(image.name, label.name) for image, label in pairs] == [
        ("a.x.jpg", "a.x.png"),
        ("b.jpg", "b.png"),
        ("c.jpg", "c.png"),
    ]


@pytest.mark.parametrize("kept", ["images", "masks"])
def test_unpaired_files_are_counted_and_named(tmp_path: Path, kept: str) -> None:
    write_folder(tmp_path, ["a", "b", "c"])
    other = {"images": "masks", "masks": "images"}[kept]
    for path in sorted((tmp_path / other).iterdir())[1:]:
        path.unlink()
    message = rf"2 files \(b\.\w+, c\.\w+\) without a file of the same name in .*{other}"
    with pytest.raises(ValueError, match=message):
        pair_by_stem(tmp_path / "images", tmp_path / "masks", "files")


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, ["a"])
    write_picture(tmp_path / "images" / "a.png", image_of(0))
    with pytest.raises(ValueError, match=r"a\.jpg and .*a\.png have the same name"):
        pair_by_stem(tmp_path / "images", tmp_path / "masks", "files")


def test_listed_names_that_are_nowhere_are_named(tmp_path: Path) -> None:
    pairs = [(Path("a.jpg"), Path("a.png")), (Path("b.jpg"), Path("b.png"))]
    assert select_stems(pairs, ["b"], tmp_path) == pairs[1:]
    with pytest.raises(FileNotFoundError, match=r"lists 1 file \(z\) that are not"):
        select_stems(pairs, ["a", "z"], tmp_path)


def test_no_pair_missing_files_and_duplicates_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, ["a"])
    image, label = tmp_path / "images" / "a.jpg", tmp_path / "masks" / "a.png"
    open_pairs = {"size": (4, 6), "decoder": ThresholdLabels(), "source": tmp_path}
    with pytest.raises(ValueError, match="gives no pair"):
        examples_of([], **open_pairs)
    gone = [(image, tmp_path / f"{number}.png") for number in range(9)]
    with pytest.raises(FileNotFoundError, match=r"9 files \(.*0\.png, .*4\.png, \.\.\.\)"):
        examples_of(gone, **open_pairs)
    with pytest.raises(ValueError, match="more than once"):
        examples_of([(image, label)] * 2, **open_pairs)


def test_fingerprint_changes_with_files_size_and_decoder(tmp_path: Path) -> None:
    write_folder(tmp_path, ["a"])
    pairs = [(tmp_path / "images" / "a.jpg", tmp_path / "masks" / "a.png")]

    def fingerprint(size: tuple[int, int] = (4, 6), threshold: int = 128) -> str:
        return examples_of(pairs, size, ThresholdLabels(threshold), source=tmp_path).fingerprint

    first = fingerprint()
    assert fingerprint() == first
    assert len({first, fingerprint((4, 7)), fingerprint(threshold=9)}) == 3
    write_picture(pairs[0][0], image_of(3, 40, 60))
    assert fingerprint() != first
