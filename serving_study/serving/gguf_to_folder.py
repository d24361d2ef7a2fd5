"""``gguf_to_folder.py MODEL.gguf FOLDER``: a GGUF as a Hugging Face folder of bfloat16 weights.

Run by the interpreter of ``workflow/envs/gguf-to-folder.lock``, never imported by the study. Transformers 5 reads the
tokenizer right, except that one with a beginning-of-text token (Gemma's) comes out without it; the GGUF says whether it
belongs there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from gguf import GGUFReader
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig


def convert(source: Path, folder: Path) -> None:
    """Write config, tokenizer and ``model.safetensors`` of ``source`` into ``folder``."""
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    _begin_as_the_gguf_says(tokenizer, source)
    tokenizer.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    print(json.dumps({"parameters": sum(p.numel() for p in model.parameters()), "type": type(model).__name__}))


def _begin_as_the_gguf_says(tokenizer: AutoTokenizer, source: Path) -> None:
    field = GGUFReader(source).fields.get("tokenizer.ggml.add_bos_token")
    wanted = bool(field.contents()) if field is not None else False
    backend = tokenizer.backend_tokenizer
    begin = tokenizer.bos_token
    stands = backend.encode("a").ids[:1] == [tokenizer.bos_token_id]
    if wanted and not stands:
        token = (begin, tokenizer.bos_token_id)
        backend.post_processor = TemplateProcessing(
            single=f"{begin} $A", pair=f"{begin} $A {begin}:1 $B:1", special_tokens=[token]
        )
    if stands and not wanted:
        raise SystemExit(f"{source.name}: its tokenizer adds {begin}, which the GGUF says it must not")


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
