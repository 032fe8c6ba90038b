"""GGUF files in llama.cpp, and the same models in transformers.

    gguf_clients.py make OUT_DIR NAME...   small random checkpoints of each family into OUT_DIR/<name>
    gguf_clients.py tokenizers OUT_DIR TEXT_FILE...   a tokenizer of each kind that GGUF has a name for, trained on the texts, into OUT_DIR/<name>
    gguf_clients.py -   jobs as JSON on stdin, one a line; one line of JSON each: what was found, or {"refused": why}
"""
import json
import os
import shutil
import sys

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", CUDA_VISIBLE_DEVICES="", TOKENIZERS_PARALLELISM="false")

import gguf
import numpy as np

# ---- models

BASE = dict(vocab_size=1024, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
BASE |= dict(max_position_embeddings=512, rms_norm_eps=1e-5, bos_token_id=0, eos_token_id=1, initializer_range=0.05)
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32}
FAMILIES = {
    "gqa": ("Llama", {}),
    "mha-tied": ("Llama", dict(num_key_value_heads=4, tie_word_embeddings=True)),
    "llama3": ("Llama", dict(rope_parameters=LLAMA3)),
    "linear": ("Llama", dict(rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0})),
    "yarn": ("Llama", dict(rope_parameters=YARN)),
    "yarn-factor": ("Llama", dict(rope_parameters=YARN | {"attention_factor": 0.8})),
    "bias": ("Llama", dict(attention_bias=True, mlp_bias=True, head_dim=128)),
    "mistral": ("Mistral", dict(sliding_window=4096)),
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", dict(head_dim=128)),
}


def make(out, names):
    import torch
    import transformers

    for name in names:
        family, change = FAMILIES[name]
        torch.manual_seed(1)
        config = getattr(transformers, f"{family}Config")(**(BASE | change))
        model = getattr(transformers, f"{family}ForCausalLM")(config)
        with torch.no_grad():
            for parameter in model.parameters():
                # Biases and norms that stand at 0 and 1 would hide a mistake.
                if parameter.dim() == 1:
                    parameter.add_(0.2 * torch.randn_like(parameter))
        model.to(torch.float16).save_pretrained(os.path.join(out, name))


# ---- tokenizers

SPLITS = {
    "llama-bpe": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "tekken": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
SPECIAL = ["<s>", "</s>", "<|im_start|>"]


def make_tokenizers(out, files):
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors, trainers

    def byte_level(name, pre_tokenizer, ignore_merges=False):
        tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
        tokenizer.pre_tokenizer = pre_tokenizer
        tokenizer.train(files, trainers.BpeTrainer(vocab_size=900, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
        tokenizer.add_tokens(["<tool>"])
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
        folder = os.path.join(out, name)
        os.makedirs(folder)
        tokenizer.save(os.path.join(folder, "tokenizer.json"))

    split = lambda name: pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLITS[name]), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)])
    byte_level("gpt-2", pre_tokenizers.ByteLevel(False))
    byte_level("smollm", pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(False)]))
    byte_level("llama-bpe", split("llama-bpe"), ignore_merges=True)
    byte_level("smaug-bpe", split("llama-bpe"))
    byte_level("qwen2", split("qwen2"))
    byte_level("tekken", split("tekken"), ignore_merges=True)
    sentence_pieces(out, files)


def sentence_pieces(out, files):
    """Trained by SentencePiece, converted by transformers: its own way of spaces, and the one of older files."""
    import sentencepiece
    import transformers

    folder = os.path.join(out, "sentencepiece")
    os.makedirs(folder)
    sentencepiece.SentencePieceTrainer.train(
        input=",".join(files), model_prefix=os.path.join(folder, "tokenizer"), model_type="bpe", vocab_size=900, byte_fallback=True, character_coverage=0.999,
        split_digits=True, normalization_rule_name="identity", remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, num_threads=1, minloglevel=2,
    )
    os.remove(os.path.join(folder, "tokenizer.vocab"))
    transformers.LlamaTokenizer.from_pretrained(folder).save_pretrained(os.path.join(out, "metaspace"))
    shutil.copytree(os.path.join(out, "metaspace"), os.path.join(out, "prepend"))
    path = os.path.join(out, "prepend", "tokenizer.json")
    with open(path, encoding="utf-8") as file:
        tokenizer = json.load(file)
    steps = [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]
    tokenizer |= {"normalizer": {"type": "Sequence", "normalizers": steps}, "pre_tokenizer": None}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(tokenizer, file)


# ---- jobs

NAMES = {"embed_tokens": "token_embd", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v"}
NAMES |= {"o_proj": "attn_output", "q_norm": "attn_q_norm", "k_norm": "attn_k_norm", "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}


def name_of(name):
    """llama.cpp's name of a tensor of transformers."""
    parts = name.split(".")
    if name == "lm_head.weight":
        return "output.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    block = f"blk.{parts[2]}." if parts[1] == "layers" else ""
    return f"{block}{NAMES[parts[-2]]}.{parts[-1]}"


def turned(values, heads):
    """Rows of heads as llama.cpp's converter puts them."""
    return values.reshape(heads, 2, -1, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def wide_tensors(path):
    return {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(path).tensors}


def dense_tensors(folder):
    import torch
    from safetensors import safe_open

    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    with safe_open(os.path.join(folder, "model.safetensors"), "pt") as tensors:
        found = {name: tensors.get_tensor(name).to(torch.float32).numpy() for name in tensors.keys()}
    if config["model_type"] in ("llama", "mistral"):
        heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
        found = {name: turned(values, heads[name.split(".")[-2]]) if name.split(".")[-2] in heads else values for name, values in found.items()}
    return {name_of(name): values for name, values in found.items()}


def compare_weights(job):
    """Largest difference of any weight, as llama.cpp dequantizes it, rounded to f16, from the dense export's, relative to the tensor's largest."""
    import llama

    llama.widen(job["file"], job["wide"])
    found, wanted = wide_tensors(job["wide"]), dense_tensors(job["dense"])
    extra = found.keys() - wanted.keys() - {"rope_freqs.weight"}
    if extra or wanted.keys() - found.keys():
        return {"refused": f"other tensors: {sorted(extra)[:3]}, {sorted(wanted.keys() - found.keys())[:3]}"}
    worst = max((np.abs(found[name].astype(np.float16).astype(np.float32) - values).max() / np.abs(values).max(), name) for name, values in wanted.items())
    return {"difference": float(worst[0]), "tensor": worst[1], "readers": compare_readers(job, found)}


def compare_readers(job, found):
    """Largest difference between gguf-py's own dequantizer and llama.cpp's; null where it does not know a type."""
    try:
        tensors = gguf.GGUFReader(job["file"]).tensors
    except ValueError:
        return None
    return float(max(np.abs(gguf.quants.dequantize(t.data, t.tensor_type) - found[t.name]).max() for t in tensors))


def compare_logits(job):
    """The file with all tensors in F32, without flash attention, against transformers on the dense export, relative to the largest logit."""
    import llama
    import torch
    import transformers

    ids = np.load(job["tokens"])[0]
    with llama.Model(job["wide"], flash=False) as model:
        found = model.logits(ids)
    reference = transformers.AutoModelForCausalLM.from_pretrained(job["dense"], dtype=torch.float32).eval()
    with torch.no_grad():
        wanted = reference(torch.tensor(ids[None].astype(np.int64))).logits[0].numpy()
    return {"difference": float(np.abs(found - wanted).max() / np.abs(wanted).max())}


def perplexity(job):
    """As people run it, or with `exact` without flash attention, whose f16 moves a random model's perplexity by 5e-5."""
    import llama

    total = count = 0
    with llama.Model(job["file"], flash=not job.get("exact")) as model:
        for ids in np.load(job["tokens"]):
            logits = model.logits(ids).astype(np.float64)
            logits -= logits.max(1, keepdims=True)
            logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
            total -= logs[np.arange(len(ids) - 1), ids[1:]].sum()
            count += len(ids) - 1
    return {"perplexity": float(np.exp(total / count))}


def greedy(job):
    """Ids that llama.cpp goes on with."""
    import llama

    with llama.Model(job["file"]) as model:
        ids = model.tokenize(job["prompt"])
        return {"prompt": ids, "ids": model.greedy(ids, job["count"])[len(ids) :]}


def greedy_text(job):
    """Text that llama.cpp goes on with."""
    import llama

    with llama.Model(job["file"]) as model:
        ids = model.tokenize(job["prompt"])
        return {"text": model.text(model.greedy(ids, job["count"])[len(ids) :])}


def reference_greedy(job):
    import torch
    import transformers
    from tokenizers import Tokenizer

    ids = Tokenizer.from_file(os.path.join(job["dense"], "tokenizer.json")).encode(job["prompt"]).ids
    model = transformers.AutoModelForCausalLM.from_pretrained(job["dense"], dtype=torch.float32).eval()
    out = model.generate(torch.tensor([ids]), max_new_tokens=job["count"], do_sample=False, eos_token_id=None)
    return {"prompt": ids, "ids": out[0, len(ids) :].tolist()}


def encoder(path):
    """Text to ids by `tokenizers`, or by SentencePiece itself."""
    if path.endswith(".json"):
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(path)
        return lambda text: tokenizer.encode(text).ids
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_file=path)
    return lambda text: pieces.encode(text, add_bos=True)


def compare_tokens(job):
    """The first text of which llama.cpp makes other ids than the tokenizer's own library; null where there is none."""
    import llama

    encode = encoder(job["tokenizer"])
    with llama.Model(job["file"], vocab_only=True) as model:
        for text in job["texts"]:
            found, wanted = model.tokenize(text), encode(text)
            if found != wanted:
                return {"text": text, "found": found, "wanted": wanted}
    return {"text": None}


def dequantize(job):
    """Values of a row in blocks, by libggml and, where it knows the type, by gguf-py: hex of f32."""
    import llama

    raw = np.frombuffer(bytes.fromhex(job["blocks"]), np.uint8)[None]
    ours = llama.dequantize(job["type"], raw, job["values"])
    try:
        theirs = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType(job["type"]))
    except (ValueError, NotImplementedError):
        theirs = None
    return {"values": ours.tobytes().hex(), "gguf": None if theirs is None else theirs.astype(np.float32).tobytes().hex()}


JOBS = dict(weights=compare_weights, logits=compare_logits, perplexity=perplexity, greedy=greedy, text=greedy_text, reference=reference_greedy, tokens=compare_tokens, dequantize=dequantize)


def answer(job):
    import llama

    try:
        return JOBS[job["job"]](job)
    except llama.Refused as error:
        return {"refused": str(error)}


command, *arguments = sys.argv[1:]
if command == "make":
    make(arguments[0], arguments[1:])
elif command == "tokenizers":
    make_tokenizers(arguments[0], arguments[1:])
else:
    import torch

    torch.set_num_threads(1)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
