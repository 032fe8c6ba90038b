"""Small random checkpoints of architectures that QEP Studio cannot run: `make FOLDER`; `load FOLDER`: what the originals and their exports compute."""
import json
import sys

import torch
import transformers as t

SMALL = dict(vocab_size=160, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, bos_token_id=1, eos_token_id=2)
MODELS = {
    "gemma2": lambda: t.Gemma2Config(**SMALL, num_key_value_heads=2, head_dim=16, pad_token_id=0),
    "neox": lambda: t.GPTNeoXConfig(**SMALL),
    "phi3": lambda: t.Phi3Config(**SMALL, num_key_value_heads=2, pad_token_id=0),
}
command, folder = sys.argv[1:]
for name, config in MODELS.items():
    if command == "make":
        torch.manual_seed(0)
        t.AutoModelForCausalLM.from_config(config()).to(torch.bfloat16).save_pretrained(f"{folder}/{name}")
        continue
    before, after = (t.AutoModelForCausalLM.from_pretrained(f"{folder}/{n}", dtype=torch.float32) for n in (name, f"{name}-out"))
    ids = torch.arange(40)[None]
    with torch.no_grad():
        a, b = before(ids).logits, after(ids).logits
    changed = [n for (n, x), y in zip(before.named_parameters(), after.parameters()) if not torch.equal(x, y)]
    levels = max(len(row.unique()) for n, p in after.named_parameters() if n in changed for row in p.reshape(-1, 32))
    print(json.dumps({"name": name, "difference": ((a - b).norm() / a.norm()).item(), "changed": len(changed), "levels": levels}))
