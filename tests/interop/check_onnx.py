"""Checks ONNX exports with onnx, onnxruntime and transformers: a job a line on stdin, a report a line on stdout (tests/support/python.ts).

The graph passes onnx's checker; its MatMulNBits tensors hold the weights of the dense export of the same run, to the bit, where they are rounded to f16, and
all other tensors are the dense export's; onnxruntime computes the logits that transformers computes with these weights, of a whole prompt, token by token, and turn by turn.
"""
import glob, json, os, sys
import numpy as np, onnx, onnxruntime, torch, transformers
from onnx import numpy_helper
from safetensors import safe_open
from verdict import require, verdict

# onnxruntime has this operator in ONNX's own domain, where the checker does not know it.
schema = onnx.defs.OpSchema
onnx.defs.register_schema(schema(
    "SimplifiedLayerNormalization", "", 1, inputs=[schema.FormalParameter("X", "T"), schema.FormalParameter("scale", "T")], outputs=[schema.FormalParameter("Y", "T")],
    type_constraints=[("T", ["tensor(float)", "tensor(float16)"], "")],
    attributes=[schema.Attribute(name, kind, required=False) for name, kind in (("axis", schema.AttrType.INT), ("epsilon", schema.AttrType.FLOAT), ("stash_type", schema.AttrType.INT))]))


def unpacked(stored, bits):
    """Codes of the last axis, lowest bits first."""
    per_byte = 8 // bits
    return np.stack([(stored >> (bits * i)) & (2**bits - 1) for i in range(per_byte)], -1).reshape(*stored.shape[:-1], -1)


def weights_of(node, tensors):
    """W [out, in] in f32 of a MatMulNBits node."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    out, n, bits, block = (attributes[k] for k in ("N", "K", "bits", "block_size"))
    count = -(-n // block)
    codes = unpacked(tensors[node.input[1]], bits).astype(np.float32)
    scales = tensors[node.input[2]].astype(np.float32).reshape(out, count, 1)
    zeros = unpacked(tensors[node.input[3]], bits)[:, :count, None].astype(np.float32) if len(node.input) > 3 else np.float32(2 ** (bits - 1))
    return (scales * (codes.reshape(out, count, block) - zeros)).reshape(out, -1)[:, :n]


def floats_of(path):
    tensors = {}
    for file in glob.glob(os.path.join(path, "*.safetensors")):
        with safe_open(file, "pt") as f:
            tensors |= {name: f.get_tensor(name) for name in f.keys()}
    return tensors


def widest(tensor):
    values = numpy_helper.to_array(tensor)
    return values.astype(np.float32) if tensor.data_type in (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16) else values


def compare_weights(model, dense, half):
    """Exact weights of the quantized layers, by name."""
    tensors = {t.name: widest(t) for t in model.graph.initializer}
    made = {}
    for node in model.graph.node:
        if node.op_type == "MatMulNBits":
            name = node.input[1].removesuffix(".qweight") + ".weight"
            made[name] = weights_of(node, tensors)
            require(np.array_equal(made[name].astype(np.float16), dense[name].numpy()), 4, f"other weights: {name}")
    for name, tensor in dense.items():
        if name in made:
            continue
        require(name in tensors, 3, f"missing: {name}")
        want = tensor.float().numpy()
        # Vectors of an f16 graph, and matrices whose source is bf16, are in f16.
        narrow = half if tensor.dim() < 2 else tensor.dtype == torch.bfloat16
        rounded = want.astype(np.float16).astype(np.float32) if narrow else want
        require(np.array_equal(tensors[name], rounded), 4, f"other weights: {name}")
    return made


class Session:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.past = [i for i in self.session.get_inputs() if i.name.startswith("past_key_values.")]
        self.names = [o.name for o in self.session.get_outputs()]

    def run(self, ids, past=None, start=0, keep=0):
        """Logits of the last `keep` tokens (0: of all), and the cache after them."""
        batch, length = ids.shape
        feed = {"input_ids": ids, "attention_mask": np.ones((batch, start + length), np.int64), "num_logits_to_keep": np.array(keep, np.int64)}
        for i in self.past:
            empty = np.zeros((batch, i.shape[1], 0, i.shape[3]), np.float16 if "float16" in i.type else np.float32)
            feed[i.name] = past[i.name] if past else empty
        out = dict(zip(self.names, self.session.run(None, feed)))
        return out["logits"], {i.name: out[i.name.replace("past_key_values", "present")] for i in self.past}


def off(ours, want):
    return float(np.abs(ours - want).max() / np.abs(want).max())


def compare_logits(session, want, ids):
    """How far logits are off, of the whole prompt and in parts."""
    whole, _ = session.run(ids)
    last, _ = session.run(ids, keep=1)
    require(last.shape[1] == 1 and off(last, whole[:, -1:]) < 1e-6, 5, "the last token's logits alone are others")
    half = ids.shape[1] // 2
    logits, past = session.run(ids[:, :half])
    steps = [logits]
    for at in range(half, ids.shape[1]):
        logits, past = session.run(ids[:, at : at + 1], past, at)
        steps.append(logits)
    # A conversation's next turn: several tokens after a past.
    _, past = session.run(ids[:1, :half])
    turn, _ = session.run(ids[:1, half:], past, half)
    return off(whole, want), max(off(np.concatenate(steps, 1), want), off(turn, want[:1, half:]))


def check(job, report):
    [path] = glob.glob(os.path.join(job["export"], "onnx", "*.onnx"))
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path)
    half = any(i.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16 for i in model.graph.input)
    made = compare_weights(model, floats_of(job["dense"]), half)
    reference = transformers.AutoModelForCausalLM.from_pretrained(job["dense"], dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        # As the run measured them: the dense export rounds to f16.
        for name, values in made.items():
            reference.get_parameter(name).copy_(torch.from_numpy(values))
        ids = np.load(job["tokens"])[:2, :40].astype(np.int64)
        want = reference(torch.from_numpy(ids)).logits.numpy()
        whole, steps = compare_logits(Session(path), want, ids)
        # An f32 graph rounds as transformers in f32 does, an f16 one thousands of times more coarsely.
        require(max(whole, steps) < (5e-3 if half else 1e-5), 5, f"other logits: off by {whole:.1e}, in parts {steps:.1e} of the largest")
        report.update(quantized=len(made), whole=whole, steps=steps, last=want[0, -1].tolist())
        if job.get("prompt"):
            tokenizer = transformers.AutoTokenizer.from_pretrained(job["dense"])
            inputs = tokenizer(job["prompt"], return_tensors="pt")
            out = reference.generate(**inputs, max_new_tokens=job["more"], do_sample=False)
            report["text"] = tokenizer.decode(out[0], skip_special_tokens=True)


for line in sys.stdin:
    print(json.dumps(verdict(check, json.loads(line))), flush=True)
