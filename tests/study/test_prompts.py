"""The prompt sets say the same in every language, and the nonces keep prefix caches out."""

import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from serving_study.study.errors import StudyError
from serving_study.study.prompts import PIECES, Prompt, digest, load, nonce

FOLDER = Path(__file__).parents[2] / "config" / "prompts"
LANGUAGES = ("en", "zh", "ko")
KINDS = {"question", "explanation", "summary", "code", "dialogue"}
SETS = {language: load(FOLDER / f"{language}.jsonl") for language in LANGUAGES}


def script(character: str) -> str:
    return unicodedata.name(character, "?").split()[0]


def numbers(text: str) -> Counter[str]:
    return Counter(re.findall(r"\d+(?:\.\d+)?", re.sub(r"(?<=\d),(?=\d{3})", "", text)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_ids_kinds_and_lengths_in_the_same_order(language):
    shape = [(prompt.id, prompt.kind, prompt.length) for prompt in SETS[language]]
    assert shape == [(prompt.id, prompt.kind, prompt.length) for prompt in SETS["en"]]


def test_there_are_sixty_prompts_of_five_kinds_short_and_long():
    assert len(SETS["en"]) >= 60
    assert {(prompt.kind, prompt.length) for prompt in SETS["en"]} == {(k, n) for k in KINDS for n in ("short", "long")}
    lengths = Counter(prompt.length for prompt in SETS["en"])
    assert lengths["short"] >= 40
    assert lengths["long"] >= 12


def test_short_and_long_mean_what_they_say():
    for prompt in SETS["en"]:
        words = len(prompt.text.split())
        assert words < 60 if prompt.length == "short" else words >= 60, prompt.id


@pytest.mark.parametrize("language", ["zh", "ko"])
def test_numbers_are_equal_in_every_language(language):
    for english, other in zip(SETS["en"], SETS[language], strict=True):
        assert numbers(english.text) == numbers(other.text), english.id


def test_each_language_is_written_in_its_own_script():
    scripts = {
        language: [(p.id, Counter(script(c) for c in p.text if c.isalpha())) for p in prompts]
        for language, prompts in SETS.items()
    }
    for name, found in scripts["en"]:
        assert set(found) == {"LATIN"}, name
    for name, found in scripts["zh"]:
        assert set(found) <= {"CJK", "LATIN"}, name
        assert found["CJK"] >= 8, name
    for name, found in scripts["ko"]:
        assert set(found) <= {"HANGUL", "LATIN"}, name
        assert found["HANGUL"] >= 8, name


def test_texts_are_composed_and_have_no_stray_space():
    for prompt in (prompt for prompts in SETS.values() for prompt in prompts):
        assert unicodedata.is_normalized("NFC", prompt.text), prompt.id
        assert prompt.text == prompt.text.strip(), prompt.id


def test_warm_up_prompts_are_never_among_the_measured_ones():
    warmup = load(FOLDER / "warmup.jsonl")
    assert len(warmup) >= 24
    assert not {prompt.text for prompt in warmup} & {prompt.text for prompt in SETS["en"]}
    assert not {prompt.id for prompt in warmup} & {prompt.id for prompt in SETS["en"]}


def test_prompts_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        SETS["en"][0].text = "other"


GOOD = {"id": "a", "kind": "question", "length": "short", "text": "Why?"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([{**GOOD, "length": "tiny"}], r"set\.jsonl:1: length = 'tiny': .*'short' or 'long'"),
        ([GOOD, {**GOOD, "id": "b", "text": ""}], r"set\.jsonl:2: text = ''"),
        ([{**GOOD, "colour": "red"}], r"set\.jsonl:1: colour = 'red'.*allowed keys: id, kind, length, text"),
        ([{"id": "a", "kind": "question", "length": "short"}], r"set\.jsonl:1: text: Field required"),
        ([GOOD, GOOD], r'set\.jsonl:2: id = "a": stands on an earlier line'),
        (["not an object"], r"set\.jsonl:1: line"),
        ([], r"set\.jsonl: has no prompts"),
    ],
)
def test_a_broken_line_is_named_with_its_key(tmp_path, lines, message):
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(StudyError, match=message):
        load(path)


def test_a_missing_file_and_broken_json_are_named(tmp_path):
    with pytest.raises(StudyError, match=r"none\.jsonl: cannot be read"):
        load(tmp_path / "none.jsonl")
    (tmp_path / "set.jsonl").write_text('{"id": "a",\n')
    with pytest.raises(StudyError, match=r"set\.jsonl:1: line"):
        load(tmp_path / "set.jsonl")


def test_the_digest_follows_the_bytes(tmp_path):
    path = tmp_path / "set.jsonl"
    path.write_bytes(b"a")
    before = digest(path)
    path.write_bytes(b"b")
    assert digest(path) != before


def test_a_nonce_stands_before_the_text_and_may_be_left_out():
    prompt = Prompt(**GOOD)
    assert prompt.asked("ab cd") == "ab cd\nWhy?"
    assert prompt.asked("") == "Why?"


def test_nonces_are_the_same_for_the_same_request_and_differ_for_all_others():
    assert nonce(7, 3, "ko", 1) == nonce(7, 3, "ko", 1)
    within = [nonce(7, request, "ko", 1) for request in range(2000)]
    assert len(set(within)) == len(within)
    elsewhere = {nonce(seed, 3, *where) for seed in (1, 2) for where in (("ko", 1), ("ko", 2), ("en", 1), ())}
    assert len(elsewhere) == 8


def test_requests_near_each_other_differ_in_the_first_piece():
    firsts = [nonce(7, request, "ko", 1).split()[0] for request in range(len(PIECES))]
    assert len(set(firsts)) == len(PIECES)


def test_a_nonce_never_changes_between_machines_and_versions():
    assert nonce(1, 0) == "sn zu dc ru"
