"""What careless instructors and hostile students do, each once found to go wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autograder.cli.main import main
from tests.collecting.independent_people import decomposed
from tests.collecting.students import zipped
from tests.tiny import TinyCourse

MODULE = b"def double(x):\n    return 2 * x\n"


def collect(course: TinyCourse, source: Path, *words: str | Path) -> int:
    """Run `collect`."""
    return main(["collect", str(source), *map(str, words), "--course", str(course.root), "--assignment", "tiny"])


def placed(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files below a folder; return it."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def students(course: TinyCourse) -> set[str]:
    """Whose work is laid out."""
    return {path.parent.name for path in course.root.glob("submitted/*/tiny")}


def other_notebook(course: TinyCourse) -> bytes:
    """The notebook of another assignment of the same course, which begins alike."""
    notebook = course.released_notebook()
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if name and name != "parameters":
            cell["metadata"]["nbgrader"]["grade_id"] = f"{name}_of_lab2"
    return json.dumps(notebook).encode()


def test_another_assignments_download_replaces_nothing(
    released_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its notebooks were taken for this one's, whatever they were called."""
    right = placed(tmp_path / "tiny", {"ada/tiny.ipynb": b"{}", "ada/utilities.py": MODULE})
    assert collect(released_course, right) == 0
    files = {"ada/lab2.ipynb": other_notebook(released_course), "ada/utilities.py": b"x = 1\n"}
    assert collect(released_course, placed(tmp_path / "lab2", files)) == 1
    assert (released_course.root / "submitted/ada/tiny/utilities.py").read_bytes() == MODULE
    assert "lab2.ipynb has not the cells of tiny: is it another assignment's?" in capsys.readouterr().err


def test_another_name_is_no_other_assignment(released_course: TinyCourse, tmp_path: Path) -> None:
    notebook = json.dumps(released_course.released_notebook()).encode()
    source = placed(tmp_path / "in", {"ada/my homework.ipynb": notebook, "ada/utilities.py": MODULE})
    assert collect(released_course, source) == 0
    assert (released_course.root / "submitted/ada/tiny/tiny.ipynb").read_bytes() == notebook


def test_what_is_laid_out_already_is_no_download(
    tiny_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    placed(tiny_course.root / "submitted", {"ada/tiny/utilities.py": MODULE, "ada/tiny/timestamp.txt": b"2030-05-01"})
    assert collect(tiny_course, tiny_course.root / "submitted") == 2
    assert "is where hand-ins are laid out" in capsys.readouterr().err
    assert (tiny_course.root / "submitted/ada/tiny/timestamp.txt").exists()


@pytest.mark.parametrize("name", ["timestamp.txt/x", "tiny/timestamp.txt/deep/x", "submission_secret.txt/x"])
def test_a_folder_called_like_a_file_of_nbgraders_stops_nobody(
    tiny_course: TinyCourse, tmp_path: Path, name: str
) -> None:
    """The time could not be written where that folder was, and everybody's collecting ended."""
    source = tmp_path / "in"
    placed(source, {"ada/tiny/utilities.py": MODULE, "ben/utilities.py": MODULE})
    placed(source / "ada", {name: b"1"})
    (tmp_path / "times.csv").write_text("student,time\nada,2030-05-01 10:00 UTC\nben,2030-05-01 10:00 UTC\n")
    assert collect(tiny_course, source, "--times", tmp_path / "times.csv") == 0
    for student in ("ada", "ben"):
        folder = tiny_course.root / "submitted" / student / "tiny"
        assert (folder / "timestamp.txt").read_text().startswith("2030-05-01 10:00")


def test_links_are_named_whatever_they_lead_to(
    tiny_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A link to a folder vanished without a word."""
    source = placed(tmp_path / "in", {"ada/utilities.py": MODULE})
    (source / "ben").symlink_to(tiny_course.root, target_is_directory=True)
    assert collect(tiny_course, source) == 0
    assert students(tiny_course) == {"ada"}
    assert "ben is a link" in capsys.readouterr().out


def test_two_forms_of_one_name_are_one_student(
    tiny_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = placed(tmp_path / "in", {"zoë/utilities.py": MODULE, f"{decomposed('zoë')}/utilities.py": b"x = 1\n"})
    assert collect(tiny_course, source) == 1
    assert not students(tiny_course)
    assert "nothing says which came last: leave one out" in capsys.readouterr().err


def test_an_environment_crowds_nobodys_work_out(tiny_course: TinyCourse, tmp_path: Path) -> None:
    """Its files were read first, and the work was one file too many."""
    junk = {f"{folder}/{number:03}.py": b"" for folder in ("env/lib", ".venv/lib") for number in range(600)}
    source = tmp_path / "in"
    source.mkdir()
    (source / "ada.zip").write_bytes(zipped({**junk, "utilities.py": MODULE, "tiny.ipynb": b"{}"}))
    (source / "ben.zip").write_bytes(zipped({"utilities.py": MODULE}))
    assert collect(tiny_course, source) == 0
    folder = tiny_course.root / "submitted/ada/tiny"
    assert (folder / "utilities.py").read_bytes() == MODULE
    assert (folder / "tiny.ipynb").read_bytes() == b"{}"


def test_ids_with_underscores_keep_their_files(tiny_course: TinyCourse, tmp_path: Path) -> None:
    """`mary_ann_tiny.ipynb` went to `mary`."""
    files = {"mary_ann_tiny.ipynb": b"{}", "mary_ann_utilities.py": MODULE, "mary_utilities.py": b"x = 1\n"}
    assert collect(tiny_course, placed(tmp_path / "in", files)) == 0
    assert (tiny_course.root / "submitted/mary_ann/tiny/utilities.py").read_bytes() == MODULE
    assert (tiny_course.root / "submitted/mary/tiny/utilities.py").read_bytes() == b"x = 1\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ada,4000\nben,4007\n", "names no students"),
        ("student,name\nada,Lefèvre\n".encode("cp1252"), "Save it as CSV, in UTF-8"),
        (b"", "names no students"),
        (b"student,canvas\nada,4000\nben,4000\n", "canvas 4000 stands there twice, for ada and ben"),
    ],
)
def test_a_roster_that_cannot_be_read_is_refused(
    tiny_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    (tiny_course.root / "roster.csv").write_bytes(content)
    assert collect(tiny_course, placed(tmp_path / "in", {"ada/utilities.py": MODULE})) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(("said", "delimiter"), [("", ","), ("", ";"), ("", "\t"), ("sep=;\r\n", ";")])
def test_a_roster_as_spreadsheets_save_it_is_read(
    tiny_course: TinyCourse, tmp_path: Path, encoding: str, said: str, delimiter: str
) -> None:
    lines = (("Student", "Nachname", "Vorname"), ("ada", "Lefèvre", "Zoë"))
    text = said + "\r\n".join(delimiter.join(line) for line in lines)
    (tiny_course.root / "roster.csv").write_bytes(text.encode(encoding))
    assert collect(tiny_course, placed(tmp_path / "in", {"Zoë Lefèvre/utilities.py": MODULE})) == 0
    assert students(tiny_course) == {"ada"}


def test_an_empty_download_says_so(tiny_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.zip").write_bytes(zipped({}))
    assert collect(tiny_course, tmp_path / "empty.zip") == 2
    assert "There is no student's file in empty" in capsys.readouterr().err


def test_without_names_a_group_cannot_be_told_from_a_student(
    tiny_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One member got the work, and nobody learned of the others."""
    (tiny_course.root / "roster.csv").write_text("student,canvas\nada,4000\nben,4007\n")
    (tmp_path / "c.zip").write_bytes(zipped({"projectgroup1_4000_9001_utilities.py": MODULE}))
    assert collect(tiny_course, tmp_path / "c.zip") == 0
    assert "1 hand-in placed by Canvas' numbers alone" in capsys.readouterr().err
    (tmp_path / "groups.csv").write_text(
        "canvas_user_id,login_id,group_name\n4000,a@x.org,Project Group 1\n4007,b@x.org,Project Group 1\n"
    )
    (tmp_path / "times.csv").write_text("student,time\nben,2030-05-01 10:00 UTC\n")
    words = ("--groups", tmp_path / "groups.csv", "--times", tmp_path / "times.csv")
    assert collect(tiny_course, tmp_path / "c.zip", *words) == 0
    assert "alone" not in capsys.readouterr().err
    for student in ("ada", "ben"):  # the time of one member is that of the group's hand-in
        folder = tiny_course.root / "submitted" / student / "tiny"
        assert (folder / "timestamp.txt").read_text().startswith("2030-05-01 10:00")


def test_a_name_full_of_numbers_puts_nothing_into_anothers_work(tiny_course: TinyCourse, tmp_path: Path) -> None:
    (tiny_course.root / "roster.csv").write_text("student,canvas,name\nben,4007,Ben Okri\neve,,Eve Plus\n")
    upload = "4007_99999_tiny.ipynb"
    files = {"okriben_4007_9001_utilities.py": MODULE, "pluseve_4010_9002_utilities.py": MODULE}
    (tmp_path / "c.zip").write_bytes(zipped({**files, f"pluseve_4010_9003_{upload}": b"{}"}))
    assert collect(tiny_course, tmp_path / "c.zip") == 0
    assert not (tiny_course.root / "submitted/ben/tiny/tiny.ipynb").exists()
    assert (tiny_course.root / "submitted/eve/tiny/tiny.ipynb").exists()


def test_a_repository_of_another_assignment_is_nobodys(
    tiny_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was taken for its owner's work, and `fall-tiny-mary-ann` for that of two students."""
    (tiny_course.root / "roster.csv").write_text("student,github\nada,ada\nmary,mary-ann\nann,ann\nzoe,zoe\n")
    names = ("fall-tiny-ada", "fall-tiny-mary-ann", "fall-tiny-ann", "fall-lab2-zoe")
    source = placed(tmp_path / "in", {f"{name}/utilities.py": name.encode() for name in names})
    assert collect(tiny_course, source, "--from", "github") == 1
    assert students(tiny_course) == {"ada", "mary", "ann"}
    assert (tiny_course.root / "submitted/mary/tiny/utilities.py").read_bytes() == b"fall-tiny-mary-ann"
    assert "fall-lab2-zoe: matches nobody" in capsys.readouterr().err


def test_the_longest_names_stop_nobody(tiny_course: TinyCourse, tmp_path: Path) -> None:
    """Temporary files had the name and some more, and one student ended the run for all."""
    names = {f"ada/{'n' * 255}": b"1", f"ada/{chr(0x1F600) * 61}.rar": b"2", f"{'b' * 201}/tiny.ipynb": b"{}"}
    source = placed(tmp_path / "in", {**names, "ada/tiny.ipynb": b"{}", "ben/tiny.ipynb": b"{}"})
    assert collect(tiny_course, source) == 1
    assert students(tiny_course) == {"ada", "ben"}
    assert (tiny_course.root / "submitted/ada/tiny" / ("n" * 255)).read_bytes() == b"1"


def test_an_id_longer_than_a_files_name_stops_nobody(tiny_course: TinyCourse, tmp_path: Path) -> None:
    (tiny_course.root / "roster.csv").write_text(f"student,name\n{'l' * 300},Lou\nben,Ben\n")
    files = {"Lou/tiny.ipynb": b"{}", "Ben/tiny.ipynb": b"{}"}
    assert collect(tiny_course, placed(tmp_path / "in", files)) == 1
    assert students(tiny_course) == {"ben"}


def test_the_download_of_one_student_is_not_the_assignments(tiny_course: TinyCourse, tmp_path: Path) -> None:
    """`ada.zip` with `ada/tiny/` in it was laid out as the hand-in of a student called tiny."""
    files = {"tiny/tiny.ipynb": b"{}", "tiny/utilities.py": MODULE}
    (tmp_path / "ada.zip").write_bytes(zipped({f"ada/{name}": content for name, content in files.items()}))
    assert collect(tiny_course, tmp_path / "ada.zip") == 0
    assert collect(tiny_course, placed(tmp_path / "ben", files)) == 2
    assert students(tiny_course) == {"ada"}


def test_the_course_folder_is_no_download(
    tiny_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The solutions were laid out as somebody's work."""
    for source in (tiny_course.root, tiny_course.root.parent):
        assert collect(tiny_course, source) == 2
        assert f"{source} is the course folder, or one around it" in capsys.readouterr().err
    assert collect(tiny_course, tiny_course.root / "source") == 2
    assert students(tiny_course) == set()


def test_a_dry_run_leaves_nothing_behind(tiny_course: TinyCourse, tmp_path: Path) -> None:
    before = set(tiny_course.root.rglob("*"))
    assert collect(tiny_course, placed(tmp_path / "in", {"ada/tiny.ipynb": b"{}"}), "--dry-run") == 0
    assert set(tiny_course.root.rglob("*")) == before


def test_work_that_is_passed_over_as_older_is_named(
    tiny_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The course's zone was put right between two downloads, so that the later hand-in seemed to be the earlier one."""
    times = tmp_path / "times.csv"
    times.write_text("student,time\nada,2030-05-01 17:30\n")
    first = placed(tmp_path / "1", {"ada/utilities.py": b"1"})
    assert collect(tiny_course, first, "--times", times) == 0
    with (tiny_course.root / "course_config.py").open("a") as settings:
        settings.write('\nc.Autograder.timezone = "Europe/Berlin"\n')
    times.write_text("student,time\nada,2030-05-01 18:00\n")
    assert collect(tiny_course, placed(tmp_path / "2", {"ada/utilities.py": b"2"}), "--times", times) == 0
    said = "older than what is laid out, so stored and not graded: ada. Where it is the last hand-in"
    assert said in capsys.readouterr().err
    assert any(path.read_bytes() == b"2" for path in tiny_course.root.rglob(".autograder/collected/**/utilities.py"))


def test_one_person_under_two_ids_is_named(
    tiny_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roster = tiny_course.root / "roster.csv"
    (tmp_path / "m.zip").write_bytes(zipped({"Jo Do_70013_assignsubmission_file/tiny.ipynb": b"{}"}))
    roster.write_text("Identifier,Full name\nParticipant 70013,Jo Do\n")
    assert collect(tiny_course, tmp_path / "m.zip") == 0
    roster.write_text("Identifier,Full name,Email address\nParticipant 70013,Jo Do,jo@example.org\n")
    assert "before" not in capsys.readouterr().err
    assert collect(tiny_course, tmp_path / "m.zip") == 0
    said = "jo@example.org was collected as moodle-70013 before, and both are laid out"
    assert said in capsys.readouterr().err


def test_what_lies_beside_the_same_work_is_kept_each_time(tiny_course: TinyCourse, tmp_path: Path) -> None:
    """The second copy of the second download took the place of that of the first."""
    for copy in (b"1", b"2"):
        files = {"ada/utilities.py": MODULE, "ada/old/utilities.py": copy}
        assert collect(tiny_course, placed(tmp_path / copy.decode(), files)) == 0
    kept = (tiny_course.root / ".autograder/collected").rglob("*-utilities.py")
    assert sorted(path.read_bytes() for path in kept) == [b"1", b"2"]


def test_names_that_differ_in_case_alone_are_refused_with_both(
    tiny_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each half of Ben's work was laid out for a student of its own."""
    source = placed(tmp_path / "in", {"Ben_tiny.ipynb": b"{}", "ben_utilities.py": MODULE, "ada/tiny.ipynb": b"{}"})
    assert collect(tiny_course, source) == 1
    assert students(tiny_course) == {"ada"}
    assert "Ben: Ben and ben differ in case alone: give one student's files one name." in capsys.readouterr().err
