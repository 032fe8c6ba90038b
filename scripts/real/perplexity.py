"""What transformers computes in float32: perplexity.py MODEL_DIR WINDOWS.npy COUNT

Prints exp of the mean negative log-likelihood of every token but the first of each of the first COUNT windows."""

import sys

import numpy
import torch
import transformers

folder, path, count_of_windows = sys.argv[1:4]
model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
total, count = 0.0, 0
with torch.inference_mode():
    for window in numpy.load(path)[: int(count_of_windows)]:
        ids = torch.tensor(window, dtype=torch.long)[None]
        losses = torch.log_softmax(model(ids).logits[0, :-1].double(), -1).gather(1, ids[0, 1:, None])
        total -= losses.sum().item()
        count += len(losses)
print(float(numpy.exp(total / count)))
