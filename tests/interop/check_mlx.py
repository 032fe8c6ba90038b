#!/usr/bin/env python3
"""Loads MLX exports with mlx-lm on the CPU and compares what it makes of them with what was meant.

    check_mlx.py -      jobs as JSON on stdin, one a line: {"export": ..., "tokens": ..., "dense": ..., "perplexity": ...}

Prints one line of JSON a job. TOKENS is [windows, length] of token ids, DENSE an export of the same run with its weights written out.

 0  every tensor is there, MLX's own weights equal the dense ones bit for bit, and it computes the same
 2  mlx-lm refuses it
 3  structure: layers that should be packed are not, or the files do not say that they are MLX's
 4  MLX makes other weights of it; "steps" says by how much of the largest step
 7  another perplexity
"""
import glob
import json
import os
import sys

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm import load
from safetensors import safe_open
from verdict import Failed, require, verdict

# Relative, against a forward pass in f32: MLX's is in f16.
PERPLEXITY = 2e-3
LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def read_dense(folder):
    return {name: tensor for path in glob.glob(f"{folder}/*.safetensors") for name, tensor in mx.load(path).items()}


def check_files(folder):
    for path in glob.glob(f"{folder}/*.safetensors"):
        with safe_open(path, framework="np") as reader:
            require((reader.metadata() or {}).get("format") == "mlx", 3, f"{os.path.basename(path)} does not say that it is MLX's")
    with open(f"{folder}/config.json", encoding="utf-8") as text:
        config = json.load(text)
    require(config.get("quantization") == config.get("quantization_config"), 3, "quantization and quantization_config differ")
    return config


def weights_of(model):
    """Name -> weight as MLX has it, and the largest step of each packed layer."""
    weights, steps = dict(tree_flatten(model.parameters())), {}
    for name, module in model.named_modules():
        if isinstance(module, nn.QuantizedLinear):
            weights[f"{name}.weight"] = mx.dequantize(module.weight, module.scales, module.biases, group_size=module.group_size, bits=module.bits)
            steps[f"{name}.weight"] = module.scales.max().item()
            del weights[f"{name}.scales"], weights[f"{name}.biases"]
    return weights, steps


def check_weights(model, dense, report):
    weights, steps = weights_of(model)
    floats = [name for name in weights if name.split(".")[-2] in LINEARS and name.endswith(".weight") and name not in steps]
    report.update(packed=len(steps), float_layers=len(floats), dtypes=sorted({str(w.dtype).removeprefix("mlx.core.") for w in weights.values()}))
    require(weights.keys() == dense.keys(), 3, f"MLX has other tensors: {sorted(weights.keys() ^ dense.keys())[:4]}")
    differences, off = {}, 0.0
    for name, tensor in dense.items():
        difference = mx.abs(weights[name].astype(mx.float32) - tensor.astype(mx.float16).astype(mx.float32)).max().item()
        if difference != 0:
            differences[name] = difference
            off = max(off, difference / steps.get(name, 1.0))
    report.update(weight_difference=max(differences.values(), default=0.0), weights_compared=len(dense), steps=off)
    require(not differences, 4, f"MLX makes other weights of {sorted(differences)[:4]}: by up to {off:.3g} of the largest step")


def perplexity(model, windows):
    """exp of the mean negative log likelihood of positions 1.. of every window."""
    logits = model(mx.array(windows)).astype(mx.float32)[:, :-1]
    losses = nn.losses.cross_entropy(logits, mx.array(windows[:, 1:]), reduction="none")
    return float(np.exp(np.array(losses, dtype=np.float64).mean()))


def check(job, report):
    check_files(job["export"])
    try:
        model, _ = load(job["export"])
    except Exception as error:
        raise Failed(2, f"mlx-lm refuses it: {type(error).__name__}: {str(error)[:600]}") from error
    report["perplexity"] = perplexity(model, np.load(job["tokens"]))
    if job.get("perplexity"):
        off = abs(report["perplexity"] / job["perplexity"] - 1)
        require(off <= PERPLEXITY, 7, f"perplexity {report['perplexity']:.5f} instead of {job['perplexity']:.5f}")
    if job.get("dense"):
        check_weights(model, read_dense(job["dense"]), report)


def main():
    mx.set_default_device(mx.cpu)
    # The client prints to stdout; ours holds reports only.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in iter(sys.stdin.readline, ""):
        print(json.dumps(verdict(check, json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    main()
