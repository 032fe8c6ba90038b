"""Small random checkpoints of each family, made by transformers, with the logits it computes in float32.

    make_family.py OUT_DIR NAME... writes OUT_DIR/<name>/{config.json, model*.safetensors, ids.npy, logits.npy}, of all where none is named, and prints the names of all
    make_family.py --again DIR...  writes DIR/logits.npy of what stands there, for DIR/ids.npy
"""
import json, os, sys
import numpy as np
import torch
import transformers as t

base = dict(vocab_size=97, hidden_size=48, intermediate_size=86, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5)
llama3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
yarn = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32}
linear = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}

FAMILIES = {  # name -> (configuration, what differs, dtype)
    "llama2": (t.LlamaConfig, dict(num_key_value_heads=4), torch.float32),
    "llama3": (t.LlamaConfig, dict(rope_parameters=llama3), torch.bfloat16),
    "llama-linear": (t.LlamaConfig, dict(rope_parameters=linear), torch.float16),
    "llama-tied": (t.LlamaConfig, dict(tie_word_embeddings=True), torch.float16),
    "llama-head-dim": (t.LlamaConfig, dict(head_dim=20), torch.float32),
    "llama-bias": (t.LlamaConfig, dict(attention_bias=True, mlp_bias=True), torch.float32),
    "llama-172": (t.LlamaConfig, dict(hidden_size=172, intermediate_size=1000, num_attention_heads=2, num_key_value_heads=1), torch.float32),
    "mistral": (t.MistralConfig, dict(sliding_window=8), torch.float32),
    "qwen2": (t.Qwen2Config, dict(), torch.bfloat16),
    "qwen3": (t.Qwen3Config, dict(head_dim=16), torch.float32),
    "llama-yarn": (t.LlamaConfig, dict(rope_parameters=yarn), torch.float32),
    "llama-yarn-mscale": (t.LlamaConfig, dict(rope_parameters=yarn | {"mscale": 0.7, "mscale_all_dim": 1.3, "beta_fast": 16, "truncate": False}), torch.float32),
    "llama-dynamic": (t.LlamaConfig, dict(rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 3.0}), torch.float32),
    "llama-dynamic-beyond": (t.LlamaConfig, dict(max_position_embeddings=16, rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 3.0}), torch.float32),
    "llama3-no-original": (t.LlamaConfig, dict(rope_parameters=llama3), torch.float32),
    "qwen2-yarn-by-hand": (t.Qwen2Config, dict(rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}), torch.float32),
    "mistral-layer-types": (t.MistralConfig, dict(sliding_window=8), torch.float32),
    "mistral-no-window": (t.MistralConfig, dict(sliding_window=None), torch.float32),
    "ministral": (t.MinistralConfig, dict(sliding_window=8, head_dim=12, layer_types=["sliding_attention", "full_attention"]), torch.float32),
    "qwen2-layer-types": (t.Qwen2Config, dict(use_sliding_window=True, sliding_window=8, layer_types=["full_attention", "sliding_attention"]), torch.float32),
    "qwen3-later": (t.Qwen3Config, dict(head_dim=16, use_sliding_window=True, sliding_window=8, max_window_layers=1), torch.float32),
    "qwen3-bias": (t.Qwen3Config, dict(head_dim=16, attention_bias=True), torch.float32),
    "llama-stray-bias": (t.LlamaConfig, dict(attention_bias=True, mlp_bias=True), torch.float32),
    "llama-other-head": (t.LlamaConfig, dict(), torch.float32),
    "no-architectures": (t.MistralConfig, dict(sliding_window=8), torch.float32),
    "other-name": (t.LlamaConfig, dict(), torch.float32),
}

EDITS = {  # what people do to config.json by hand
    "llama3-no-original": lambda c: c["rope_parameters"].pop("original_max_position_embeddings"),
    "qwen2-yarn-by-hand": lambda c: c.update(rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}),
    "mistral-layer-types": lambda c: c.update(layer_types=["full_attention", "sliding_attention"]),
    "qwen3-later": lambda c: c.pop("layer_types"),
    "llama-stray-bias": lambda c: c.update(attention_bias=False, mlp_bias=False),
    "llama-other-head": lambda c: c.update(tie_word_embeddings=True),
    "no-architectures": lambda c: c.pop("architectures"),
    "other-name": lambda c: c.update(architectures=["LLaMAForCausalLM"]),
}


def logits_of(folder, ids):
    model = t.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        logits = model(input_ids=ids).logits
    np.save(os.path.join(folder, "logits.npy"), logits.numpy().astype(np.float32))


if sys.argv[1] == "--again":
    for folder in sys.argv[2:]:
        logits_of(folder, torch.from_numpy(np.load(os.path.join(folder, "ids.npy"))).long())
    sys.exit()

out = sys.argv[1]
for seed, (name, (configuration, change, dtype)) in enumerate(FAMILIES.items()):
    if sys.argv[2:] and name not in sys.argv[2:]:
        continue
    # Each its own, so that a family is the same whichever others are made.
    torch.manual_seed(seed)
    config = configuration(**(base | change), attn_implementation="eager")
    model = t.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Random everywhere: biases and norms that stand at 0 and 1 would hide a mistake.
            parameter.copy_(1 + 0.2 * torch.randn_like(parameter) if parameter.dim() == 1 and parameter.mean() > 0.5 else parameter + 0.1 * torch.randn_like(parameter))
        folder = os.path.join(out, name)
        model.to(dtype).save_pretrained(folder)
        if name in EDITS:
            path = os.path.join(folder, "config.json")
            with open(path) as file:
                written = json.load(file)
            EDITS[name](written)
            with open(path, "w") as file:
                json.dump(written, file)
        # Opened again: .to() rounds the rotary frequencies too, which no client does.
        ids = torch.randint(0, config.vocab_size, (2, 24))
        np.save(os.path.join(folder, "ids.npy"), ids.numpy().astype(np.int32))
        logits_of(folder, ids)
print(json.dumps(list(FAMILIES)))
