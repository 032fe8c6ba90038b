"""Small random checkpoints of each family, made by transformers, with the logits it computes in float32.

    make_family.py OUT_DIR   writes OUT_DIR/<name>/{config.json, model*.safetensors, ids.npy, logits.npy} and prints the names
"""
import json, os, sys
import numpy as np
import torch
import transformers as t

torch.manual_seed(0)
base = dict(vocab_size=97, hidden_size=48, intermediate_size=86, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5)
llama3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
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
}

out = sys.argv[1]
for name, (configuration, change, dtype) in FAMILIES.items():
    config = configuration(**(base | change), attn_implementation="eager")
    model = t.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Random everywhere: biases and norms that stand at 0 and 1 would hide a mistake.
            parameter.copy_(1 + 0.2 * torch.randn_like(parameter) if parameter.dim() == 1 and parameter.mean() > 0.5 else parameter + 0.1 * torch.randn_like(parameter))
        folder = os.path.join(out, name)
        model.to(dtype).save_pretrained(folder)
        # Opened again: .to() rounds the rotary frequencies too, which no client does.
        model = t.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        ids = torch.randint(0, config.vocab_size, (2, 24))
        logits = model(input_ids=ids).logits
    np.save(os.path.join(folder, "ids.npy"), ids.numpy().astype(np.int32))
    np.save(os.path.join(folder, "logits.npy"), logits.numpy().astype(np.float32))
print(json.dumps(list(FAMILIES)))
