#!/usr/bin/env python3
"""Loads an exported dense checkpoint with the real clients on the CPU and prints what they see, as one line of JSON.

    check_dense.py MODEL_DIR TOKENS.npy

TOKENS is [windows, length] of token ids. Exit 0: loaded whole. 2: a client refuses it. 3: tensors are missing, unexpected or of
another shape, or the index disagrees with the files. 6: NaN or infinity.
"""
import glob
import json
import os
import sys

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", CUDA_VISIBLE_DEVICES="", TOKENIZERS_PARALLELISM="false")

import numpy as np
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM

report = {}


def end(code, message):
    report.update(exit=code, message=message)
    print(json.dumps(report), flush=True)
    sys.exit(code)


def check_files(folder):
    """Every tensor through the official safetensors reader; the index, if there is one, must say where they really are."""
    files = sorted(glob.glob(os.path.join(folder, "*.safetensors")))
    where, dtypes, finite = {}, set(), True
    for path in files:
        with safe_open(path, framework="pt") as reader:
            for name in reader.keys():
                tensor = reader.get_tensor(name)
                where[name] = os.path.basename(path)
                dtypes.add(str(tensor.dtype).removeprefix("torch."))
                finite = finite and (not tensor.is_floating_point() or bool(torch.isfinite(tensor).all()))
    report.update(files=len(files), tensors=len(where), dtypes=sorted(dtypes))
    index = os.path.join(folder, "model.safetensors.index.json")
    if os.path.exists(index):
        with open(index, encoding="utf-8") as text:
            if json.load(text)["weight_map"] != where:
                end(3, "the index does not say which file holds which tensor")
    elif len(files) != 1:
        end(3, f"{len(files)} safetensors files and no index")
    if not finite:
        end(6, "the weights hold NaN or infinity")


def load(folder):
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, local_files_only=True)
    wrong = {kind: sorted(map(str, keys))[:6] for kind, keys in info.items() if keys}
    if wrong:
        end(3, f"transformers loaded it with holes: {wrong}")
    return model.eval()


def perplexity(model, windows):
    """exp of the mean negative log likelihood of positions 1.. of every window, as in the oracle's figures."""
    total, count, finite = 0.0, 0, True
    for ids in torch.from_numpy(windows.astype(np.int64)):
        logits = model(input_ids=ids[None]).logits[0]
        finite = finite and bool(torch.isfinite(logits).all())
        total += torch.nn.functional.cross_entropy(logits[:-1].double(), ids[1:], reduction="sum").item()
        count += len(ids) - 1
    return float(np.exp(total / count)), finite


def main(folder, tokens):
    torch.set_grad_enabled(False)
    torch.set_num_threads(2)
    try:
        check_files(folder)
        model = load(folder)
    except Exception as error:
        end(2, f"{type(error).__name__}: {error}")
    report["perplexity"], report["logits_finite"] = perplexity(model, np.load(tokens))
    end(0 if report["logits_finite"] else 6, "loaded whole" if report["logits_finite"] else "the logits hold NaN or infinity")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
