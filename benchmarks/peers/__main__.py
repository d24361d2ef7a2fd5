"""``python -m benchmarks.peers``: every tool under the same load, each beside the truth of its own run.

Installs the tools into the cache, takes turns in alternating order, and writes the table into ``docs/accuracy.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from benchmarks.accuracy import said_by_truth
from benchmarks.peers.tools import TOOLS, Load, Said, Tool
from benchmarks.report import machine, write_between
from tests.truth.harness import Truth, truth

DOCUMENT = Path(__file__).parents[2] / "docs" / "accuracy.md"
COLUMNS = ("ttft_p50", "ttft_p99", "inter_chunk_p99")


def byte_tokenizer(folder: Path) -> Path:
    """A tokenizer of one token a byte, in the files that all tools read: none of them may need a network."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate([*alphabet, "<eos>"])}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<eos>", "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": 4096}))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return folder


def turn(tool: Tool, home: Path, load: Load, server: Truth, timeout_s: float) -> dict[str, Said] | str:
    """One run: what the tool said and what was true, or why there is nothing."""
    load.out.mkdir(parents=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    log = load.out.with_suffix(".log")
    with log.open("w") as file:
        try:
            command = subprocess.Popen(
                tool.command(home, load),
                stdout=file,
                stderr=file,
                env=os.environ | tool.environment,
                start_new_session=True,
            )
            code = command.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(command.pid, 9)
            command.wait()
            code = -9
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    entries = server.entries()
    if code:
        return f"exit {code}: {log.read_text(errors='replace')[-300:]}"
    said = tool.said(load)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    true = said_by_truth([entry for entry in entries if len(entry["sends"]) > 1])
    return {"said": {**said, "cpu_s": cpu}, "truth": dict(true)}


def main() -> None:
    """All tools, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, nargs="+", default=[256])
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tools", nargs="+", default=[tool.title for tool in TOOLS])
    parser.add_argument("--timeout", type=float, default=600)
    args = parser.parse_args()
    tools = [tool for tool in TOOLS if tool.title in args.tools]
    homes = {tool.title: tool.home() for tool in tools}
    found: dict[tuple[str, int], list[dict[str, Said]]] = {}
    with tempfile.TemporaryDirectory() as scratch, truth() as server:
        tokenizer = byte_tokenizer(Path(scratch) / "tokenizer")
        for number in range(args.rounds):
            for streams in args.streams:
                for tool in tools if number % 2 == 0 else reversed(tools):
                    out = Path(scratch) / f"{number}-{streams}-{tool.title.replace(' ', '-')}"
                    load = Load(server.url, streams, 3 * streams, args.max_tokens, tokenizer, out)
                    result = turn(tool, homes[tool.title], load, server, args.timeout)
                    print(
                        json.dumps({"tool": tool.title, "streams": streams, "round": number, "result": result}),
                        flush=True,
                    )
                    if isinstance(result, dict):
                        found.setdefault((tool.title, streams), []).append(result)
    versions = {tool.title: tool.version(homes[tool.title]) for tool in tools}
    write_between(DOCUMENT, "peers", table(found, versions, args.max_tokens, args.rounds))


def table(
    found: dict[tuple[str, int], list[dict[str, Said]]], versions: dict[str, str], tokens: int, rounds: int
) -> str:
    """Medians of the rounds; the truth of each tool's own runs stands in brackets."""
    lines = [
        f"{machine()}. {tokens} tokens an answer, three answers a stream, median of up to {rounds} rounds in alternating order.",
        "In brackets: the server's own log of the same requests. Processor time: the tool's whole run, start-up and report included;",
        "tokens per client CPU s: by the tool's own report, of its processor time while it measured.",
        "",
        "| tool | version | streams | TTFT p50 ms | TTFT p99 ms | inter-chunk p99 ms | processor s | tokens per client CPU s |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (title, streams), results in found.items():
        cells = []
        for column in COLUMNS:
            said, true = (_median(results, kind, column) for kind in ("said", "truth"))
            cells.append(f"{'not reported' if said is None else f'{said:.2f}'} ({true:.2f})")
        tokens_per_cpu_s = _median(results, "said", "tokens_per_cpu_s")
        cells.append(f"{_median(results, 'said', 'cpu_s'):.1f}")
        cells.append("not reported" if tokens_per_cpu_s is None else f"{tokens_per_cpu_s:,.0f}")
        lines.append(f"| {title} | {versions[title]} | {streams} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _median(results: list[dict[str, Said]], kind: str, column: str) -> float | None:
    values = [value for result in results if (value := result[kind].get(column)) is not None]
    return statistics.median(values) if values else None


if __name__ == "__main__":
    sys.exit(main())
