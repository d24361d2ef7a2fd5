"""The schedule is drawn once from the seed, in absolute times."""

import statistics

import pytest

from serving_study.load.payload import http_payload, with_key
from serving_study.load.prompts import read_prompts, synthetic
from serving_study.load.schedule import SECOND, open_loop_offsets, ramp_offsets, read_replay
from serving_study.study.errors import StudyError


def test_constant_arrivals_are_evenly_spaced():
    assert open_loop_offsets(4, 5, "constant", seed=1) == [0, SECOND // 4, SECOND // 2, 3 * SECOND // 4, SECOND]


def test_poisson_arrivals_have_the_rate_and_the_spread_of_an_exponential():
    offsets = open_loop_offsets(50, 20_000, "poisson", seed=7)
    gaps = [b - a for a, b in zip([0, *offsets], offsets, strict=False)]
    assert min(gaps) >= 0
    assert statistics.mean(gaps) == pytest.approx(SECOND / 50, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(SECOND / 50, rel=0.05)


def test_the_same_seed_draws_the_same_schedule_and_another_seed_another():
    assert open_loop_offsets(9, 50, "poisson", seed=3) == open_loop_offsets(9, 50, "poisson", seed=3)
    assert open_loop_offsets(9, 50, "poisson", seed=3) != open_loop_offsets(9, 50, "poisson", seed=4)


def test_replay_keeps_recorded_gaps_or_scales_them_to_a_rate(tmp_path):
    file = tmp_path / "arrivals.txt"
    file.write_text("# seconds\n10.0\n10.5\n\n12.0\n")
    recorded = read_replay(file)
    assert open_loop_offsets(0, 3, "replay", 0, recorded) == [0, SECOND // 2, 2 * SECOND]
    assert open_loop_offsets(2, 3, "replay", 0, recorded) == [0, SECOND // 4, SECOND]
    with pytest.raises(StudyError, match="3 recorded arrivals for 4"):
        open_loop_offsets(1, 4, "replay", 0, recorded)
    file.write_text("1\nsoon\n")
    with pytest.raises(StudyError, match=r"arrivals.txt:2: 'soon'"):
        read_replay(file)


def test_a_ramp_has_the_rate_of_each_step():
    offsets = ramp_offsets([(100, 10), (400, 10)], "poisson", seed=1)
    assert offsets == sorted(offsets)
    assert sum(at < 10 * SECOND for at in offsets) == pytest.approx(1000, rel=0.15)
    assert sum(at >= 10 * SECOND for at in offsets) == pytest.approx(4000, rel=0.1)
    assert max(offsets) < 20 * SECOND


def test_a_rate_of_nothing_is_refused():
    with pytest.raises(StudyError, match="more than 0"):
        open_loop_offsets(0, 3, "poisson", 1)


def test_a_payload_refuses_compression_and_states_its_length():
    payload = http_payload("::1", 8000, "/v1/completions", {"prompt": "안녕"})
    head, content = payload.split(b"\r\n\r\n")
    assert b"Accept-Encoding: identity" in head and b"Host: [::1]:8000" in head
    assert f"Content-Length: {len(content)}".encode() in head
    assert content.decode() == '{"prompt":"안녕"}'


def test_the_key_goes_into_a_copy():
    payload = http_payload("h", 80, "/p", {})
    assert b"secret" not in payload
    sent = with_key(payload, "secret")
    assert sent.count(b"Authorization: Bearer secret\r\n") == 1
    assert sent.replace(b"Authorization: Bearer secret\r\n", b"") == payload
    assert with_key(payload, None) is payload


def test_a_header_cannot_be_smuggled_in():
    with pytest.raises(StudyError, match="control characters"):
        http_payload("h\r\nX: y", 80, "/p", {})


def test_made_prompts_have_as_many_pieces_as_asked_and_differ():
    prompts = synthetic(64, 10, seed=5)
    assert [len(prompt.text.split()) for prompt in prompts] == [64] * 10
    assert len({prompt.text for prompt in prompts}) == 10
    assert synthetic(64, 10, seed=5) == prompts


@pytest.mark.parametrize("line", ["{", "[]", '{"id": 1}', '""', "7"])
def test_a_prompt_without_text_is_named_with_its_line(tmp_path, line):
    file = tmp_path / "own.jsonl"
    file.write_text('"good"\n' + line + "\n")
    with pytest.raises(StudyError, match=r"own\.jsonl:2"):
        read_prompts(file)


def test_prompts_keep_their_names_and_what_looks_like_the_end_of_a_line(tmp_path):
    file = tmp_path / "own.jsonl"
    file.write_text('{"id": "Set/7", "text": "a\u2028b\x85c"}\n{"id": 8, "prompt": "d"}\n"e"\n', encoding="utf-8")
    assert [(prompt.id, prompt.text) for prompt in read_prompts(file)] == [
        ("Set/7", "a\u2028b\x85c"),
        ("8", "d"),
        ("line-3", "e"),
    ]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}', "2 messages"),
        ('{"messages": [{"role": "system", "content": "a"}]}', "messages.0.role"),
        ('{"id": "x", "text": "a"}\n{"id": "x", "text": "b"}', "unique"),
        ('{"id": [], "text": "a"}', "id = "),
    ],
)
def test_what_cannot_be_asked_as_it_stands_is_refused(tmp_path, lines, why):
    file = tmp_path / "own.jsonl"
    file.write_text(lines)
    with pytest.raises(StudyError, match=why):
        read_prompts(file)
