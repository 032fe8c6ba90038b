#!/usr/bin/env python3
"""Loads exported checkpoints (dense, GPTQ, AWQ, compressed-tensors) with the real clients on the CPU and compares what they compute with what was meant.

    check_export.py EXPORT TOKENS.npy [--dense DIR] [--client transformers|gptqmodel] [--dtype float16] [--perplexity X]
    check_export.py -      the same as JSON on stdin, one job a line: {"export": ..., "tokens": ..., "dense": ...}

Prints one line of JSON a job. TOKENS is [windows, length] of token ids, DENSE an export of the same run with its weights written out.

 0  every tensor is there, the client's own weights equal the dense ones bit for bit, and it computes the same
 2  a client refuses it
 3  structure: tensors missing, unexpected, of another shape or type, in another file, or contradicting config.json
 4  the client makes other weights of it
 5  other logits than the dense export's
 6  NaN or infinity
 7  another perplexity
"""
import argparse
import glob
import json
import os
import sys

# TORCHDYNAMO_DISABLE: GPTQModel compiles its kernel, which takes minutes on a CPU and changes nothing.
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", CUDA_VISIBLE_DEVICES="", TOKENIZERS_PARALLELISM="false", TORCHDYNAMO_DISABLE="1")

import numpy as np
import torch
from layouts import LAYOUTS
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM
from verdict import Failed, require, verdict

INDEX = "model.safetensors.index.json"
FLOATS = ("float16", "bfloat16", "float32")
# Of the largest logit. Equal weights leave only the order of the sums, and f16 between the layers.
LOGITS = {"float16": 1e-2, "float32": 1e-4}
# Relative, against a forward pass in f32 that is not the client's.
PERPLEXITY = {"float16": 2e-3, "float32": 1e-4}


def read_json(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as text:
        return json.load(text)


def some(names):
    """A few of many names, for a message."""
    names = sorted(map(str, names))
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


# ---- structure: what config.json promises and what the files hold


def layout_of(config):
    """How layers are packed, by layouts.py; None where they are not."""
    packing = config.get("quantization_config")
    if packing is None:
        return None
    require(packing["quant_method"] in LAYOUTS, 3, f"quant_method is {packing['quant_method']}")
    return LAYOUTS[packing["quant_method"]](packing)


def packed_linears(config):
    """Name -> (outputs, inputs) of the layers that are packed."""
    layout = layout_of(config)
    return {name: shape for name, shape in linears(config).items() if layout and layout.packs(name)}


def linears(config):
    """Name -> (outputs, inputs) of every layer that is quantized."""
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    head = config.get("head_dim") or hidden // heads
    queries, keys = heads * head, (config.get("num_key_value_heads") or heads) * head
    shapes = {
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, queries),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    blocks = range(config["num_hidden_layers"])
    return {f"model.layers.{block}.{name}": shape for block in blocks for name, shape in shapes.items()}


def has_bias(config, name):
    if config["model_type"] == "qwen2":
        return name.endswith(("q_proj", "k_proj", "v_proj"))
    return bool(config.get("attention_bias" if ".self_attn." in name else "mlp_bias"))


def promised(config):
    """Every tensor that config.json calls for: name -> (types, shape)."""
    hidden, table = config["hidden_size"], (FLOATS, (config["vocab_size"], config["hidden_size"]))
    norms = [f"model.layers.{n}.{norm}" for n in range(config["num_hidden_layers"]) for norm in ("input_layernorm", "post_attention_layernorm")]
    tensors = {f"{norm}.weight": (FLOATS, (hidden,)) for norm in [*norms, "model.norm"]}
    tensors["model.embed_tokens.weight"] = table
    if not config.get("tie_word_embeddings"):
        tensors["lm_head.weight"] = table
    if config["model_type"] == "qwen3":
        names = [f"model.layers.{n}.self_attn.{norm}.weight" for n in range(config["num_hidden_layers"]) for norm in ("q_norm", "k_norm")]
        tensors |= {name: (FLOATS, (config["head_dim"],)) for name in names}
    layout, packed = layout_of(config), packed_linears(config)
    for name, shape in linears(config).items():
        if has_bias(config, name):
            tensors[f"{name}.bias"] = (FLOATS, shape[:1])
        for part, spec in (layout.parts(name, *shape) if name in packed else {"weight": (FLOATS, shape)}).items():
            tensors[f"{name}.{part}"] = spec
    return tensors


def read_tensors(folder, report):
    """All tensors, through the official reader; the index, if there is one, must say where they really are."""
    files = sorted(glob.glob(os.path.join(folder, "*.safetensors")))
    tensors, where = {}, {}
    for path in files:
        try:
            with safe_open(path, framework="pt") as reader:
                metadata, part = reader.metadata(), {name: reader.get_tensor(name) for name in reader.keys()}
        except Exception as error:
            raise Failed(2, f"safetensors: {error}") from error
        require((metadata or {}).get("format") == "pt", 3, f'{os.path.basename(path)} does not say {{"format": "pt"}}')
        tensors.update(part)
        where.update({name: os.path.basename(path) for name in part})
    types = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()})
    report.update(files=len(files), tensors=len(tensors), dtypes=types)
    if os.path.exists(os.path.join(folder, INDEX)):
        index = read_json(folder, INDEX)
        require(index["weight_map"] == where, 3, "the index does not say which file holds which tensor")
        size = sum(tensor.nbytes for tensor in tensors.values())
        require(index["metadata"]["total_size"] == size, 3, f"the index says {index['metadata']['total_size']} bytes, the tensors have {size}")
    else:
        require([os.path.basename(path) for path in files] == ["model.safetensors"], 3, f"{len(files)} safetensors files and no index")
    return tensors


def check_structure(folder, config, tensors):
    wanted = promised(config)
    require(not wanted.keys() - tensors.keys(), 3, f"missing: {some(wanted.keys() - tensors.keys())}")
    require(not tensors.keys() - wanted.keys(), 3, f"unexpected: {some(tensors.keys() - wanted.keys())}")
    for name, tensor in tensors.items():
        types, shape = wanted[name]
        found = str(tensor.dtype).removeprefix("torch.")
        require(found in types and tuple(tensor.shape) == shape, 3, f"{name} is {found} {list(tensor.shape)}, config.json calls for {types[0]} {list(shape)}")
        require(not tensor.is_floating_point() or bool(torch.isfinite(tensor).all()), 6, f"{name} holds NaN or infinity")
    if layout := layout_of(config):
        layout.check(folder, packed_linears(config), tensors)


# ---- what the clients make of it


def load_transformers(folder, config, dtype):
    layout = layout_of(config)
    options = layout.options() if layout else {}
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, output_loading_info=True, local_files_only=True, **options)
    holes = {kind: some(names) for kind, names in info.items() if names}
    require(not holes, 3, f"transformers loaded it with holes: {holes}")
    return model


def load_gptqmodel(folder, _config, dtype):
    from gptqmodel import BACKEND, GPTQModel

    return GPTQModel.load(folder, device="cpu", backend=BACKEND.GPTQ_TORCH, dtype=dtype, trust_remote_code=False).model


def load(client, folder, config, dtype):
    try:
        model = {"transformers": load_transformers, "gptqmodel": load_gptqmodel}[client](folder, config, dtype)
    except Failed:
        raise
    except Exception as error:
        raise Failed(2, f"{client} refuses it: {type(error).__name__}: {str(error)[:600]}") from error
    empty = [name for name, tensor in [*model.named_parameters(), *model.named_buffers()] if tensor.is_meta]
    require(not empty, 3, f"{client} left {some(empty)} empty")
    return model.eval()


def weights_of(model, config):
    """Name -> tensor as the client itself sees it: parameters, and what its modules make of the packed tensors."""
    layout = layout_of(config)
    if layout and layout.unpacks_late:
        model(input_ids=torch.zeros((1, 1), dtype=torch.int64))
    weights = dict([*model.named_parameters(), *model.named_buffers()])
    for name in packed_linears(config):
        weights[f"{name}.weight"] = layout.weight_of(name, model.get_submodule(name))
    return weights


def check_weights(model, config, dense, report):
    """The client's weights against the dense ones. s·(q − z) is exact before its one rounding to f16, so there is no tolerance."""
    weights, differences = weights_of(model, config), {}
    missing = dense.keys() - weights.keys()
    require(not missing, 4, f"the client has no {some(missing)}")
    for name, tensor in dense.items():
        difference = (weights[name].float() - tensor.to(weights[name].dtype).float()).abs().max().item()
        if difference != 0:
            differences[name] = difference
    report["weight_difference"] = max(differences.values(), default=0.0)
    report["weights_compared"] = len(dense)
    require(not differences, 4, f"the client makes other weights of {some(differences)}: by up to {report['weight_difference']:.3g}")


def run(model, windows):
    """Logits of all windows at once, because packed weights are unpacked anew for every call."""
    logits = model(input_ids=windows).logits.float()
    require(bool(torch.isfinite(logits).all()), 6, "the logits hold NaN or infinity")
    return logits


def perplexity(logits, windows):
    """exp of the mean negative log likelihood of positions 1.. of every window, as in the oracle's figures."""
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).double(), windows[:, 1:].flatten()).exp().item()


def check(job, report):
    client, dtype = job.get("client") or "transformers", job.get("dtype") or "float16"
    windows = torch.from_numpy(np.load(job["tokens"]).astype(np.int64))
    config = read_json(job["export"], "config.json")
    check_structure(job["export"], config, read_tensors(job["export"], report))
    report["said"] = str(AutoConfig.from_pretrained(job["export"]).dtype).removeprefix("torch.")
    model = load(client, job["export"], config, getattr(torch, dtype))
    if job.get("dense"):
        check_weights(model, config, read_tensors(job["dense"], {}), report)
    logits = run(model, windows)
    report["perplexity"] = perplexity(logits, windows)
    if job.get("dense"):
        expected = run(load("transformers", job["dense"], read_json(job["dense"], "config.json"), getattr(torch, dtype)), windows)
        report["logit_difference"] = ((logits - expected).abs().max() / expected.abs().max()).item()
        require(report["logit_difference"] <= LOGITS[dtype], 5, f"the logits differ by {report['logit_difference']:.2g} of the largest")
    if job.get("perplexity"):
        off = abs(report["perplexity"] / job["perplexity"] - 1)
        require(off <= PERPLEXITY[dtype], 7, f"perplexity {report['perplexity']:.5f} instead of {job['perplexity']:.5f}")


def jobs():
    if sys.argv[1:] == ["-"]:
        return (json.loads(line) for line in iter(sys.stdin.readline, ""))
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("export")
    parser.add_argument("tokens")
    parser.add_argument("--dense")
    parser.add_argument("--client", choices=["transformers", "gptqmodel"])
    parser.add_argument("--dtype", choices=["float16", "float32"])
    parser.add_argument("--perplexity", type=float)
    return [vars(parser.parse_args())]


def main():
    torch.set_grad_enabled(False)
    torch.set_num_threads(2)
    # The clients print to stdout; ours holds reports only.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    code = 0
    for job in jobs():
        report = verdict(check, job)
        print(json.dumps(report), file=out, flush=True)
        code = code or report["exit"]
    sys.exit(code)


if __name__ == "__main__":
    main()
