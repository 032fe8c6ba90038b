"""llama.cpp's side of the comparison, by libllama itself: one job as JSON on stdin, its result as JSON on stdout.

    importance  {model, tokens, out}: the mean square of every linear layer's inputs (what llama-imatrix collects), by transformers in float32, to a .npz
    quantize    {source, target, type, pure, importance | null}: llama_model_quantize; type is a number of llama.h's llama_ftype
    score       {file, unpacked, original, tokens}: perplexity; mean KL(original ‖ file) in nats and equal top tokens, over all positions but a window's last.
                Unpacked: of a copy of the file in f16
"""
import ctypes as C
import json
import os
import sys

sys.path.insert(0, os.path.join("tests", "interop"))
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", CUDA_VISIBLE_DEVICES="")

import numpy as np

NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output"}
NAMES |= {"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def importance(job):
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32).eval()
    sums = {}

    def collect(key):
        def hook(_module, inputs):
            x = inputs[0].reshape(-1, inputs[0].shape[-1]).double()
            sums[key] = sums.get(key, 0) + (x * x).sum(0)

        return hook

    for i, layer in enumerate(model.model.layers):
        for name, tensor in NAMES.items():
            layer.get_submodule(name).register_forward_pre_hook(collect(f"blk.{i}.{tensor}.weight"))
    windows = np.load(job["tokens"])
    with torch.no_grad():
        for rows in torch.tensor(windows.astype(np.int64)).split(8):
            model.model(rows)
    np.savez(job["out"], **{key: (value / windows.size).float().numpy() for key, value in sums.items()})
    return {"tensors": len(sums)}


class Entry(C.Structure):
    _fields_ = [("name", C.c_char_p), ("data", C.POINTER(C.c_float)), ("size", C.c_size_t)]


def quantize(job):
    import llama

    params = llama.llama.llama_model_quantize_default_params()
    params.ftype, params.threads, params.pure, params.allow_requantize = job["type"], 1, job["pure"], job.get("again", False)
    if job["pure"]:
        params.output_type = 14  # GGML_TYPE_Q6_K, as ours: otherwise the head would be of the layers' type too
    if job["importance"]:
        values = {name: np.ascontiguousarray(data) for name, data in np.load(job["importance"]).items()}
        entries = (Entry * (len(values) + 1))()
        for entry, (name, data) in zip(entries, values.items()):
            entry.name, entry.data, entry.size = name.encode(), data.ctypes.data_as(C.POINTER(C.c_float)), data.size
        params.imatrix = C.cast(entries, C.c_void_p)
    llama.log.clear()
    if llama.llama.llama_model_quantize(job["source"].encode(), job["target"].encode(), C.byref(params)):
        raise SystemExit("llama_model_quantize: " + "".join(llama.log[-6:]).strip())
    return {"bytes": os.path.getsize(job["target"])}


def log_softmax(logits):
    x = logits.astype(np.float64)
    x -= x.max(1, keepdims=True)
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def kept_logits(path, windows):
    """The original's logits, computed once for all files that are compared with it: float32 as libllama gives them, [windows, length, vocabulary]."""
    import llama

    kept = path + ".logits.npy"
    if not os.path.exists(kept):
        with llama.Model(path, threads=os.cpu_count()) as model:
            logits = np.lib.format.open_memmap(kept + ".new", "w+", np.float32, (*windows.shape, model.size))
            for row, ids in zip(logits, windows):
                row[:] = model.logits(ids)
        logits.flush()
        os.rename(kept + ".new", kept)
    return np.load(kept, mmap_mode="r")


def unpacked(file):
    copy = file + ".f16"
    quantize({"source": file, "target": copy, "type": 1, "pure": False, "importance": None, "again": True})
    return copy


def score(job):
    import llama

    windows = np.load(job["tokens"])
    originals = kept_logits(job["original"], windows)
    loss = divergence = same = count = 0
    file = unpacked(job["file"]) if job["unpacked"] else job["file"]
    with llama.Model(file, threads=os.cpu_count()) as model:
        for original, ids in zip(originals, windows):
            p, q = log_softmax(original[:-1]), log_softmax(model.logits(ids)[:-1])
            loss -= q[np.arange(len(q)), ids[1:]].sum()
            divergence += (np.exp(p) * (p - q)).sum()
            same += (p.argmax(1) == q.argmax(1)).sum()
            count += len(q)
    if job["unpacked"]:
        os.remove(file)
    return {"perplexity": float(np.exp(loss / count)), "divergence": float(divergence / count), "agreement": float(same / count)}


job = json.load(sys.stdin)
print(json.dumps({"importance": importance, "quantize": quantize, "score": score}[job.pop("job")](job)))
