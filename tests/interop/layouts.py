"""The packed layouts that check_export.py knows: the tensors that each calls for, what no shape shows, and what a client makes of them."""
import json
import os
import re

import numpy as np
import torch
from transformers import AwqConfig, CompressedTensorsConfig, GPTQConfig
from verdict import require

HALVES = ("float16", "bfloat16")


def unpack(words, bits):
    """A stream of bits along the rows, lowest first."""
    stream = np.unpackbits(words.numpy().view(np.uint8), axis=1, bitorder="little")
    stream = stream[:, : stream.shape[1] // bits * bits].reshape(len(words), -1, bits)
    return stream.astype(np.int32) @ (1 << np.arange(bits))


def group_size(size, inp):
    return inp if size in (-1, None) else size


class Gptq:
    """Codes are packed down the inputs, zeros along the outputs."""

    unpacks_late = False

    def __init__(self, packing):
        self.packing = packing

    def settings(self, name):
        """A layer's (bits, group_size), as GPTQModel takes them from `dynamic`: of the first pattern that matches. None: it stays floats."""
        change = {}
        for pattern, settings in self.packing.get("dynamic", {}).items():
            if re.match(pattern[2:], name):
                if pattern.startswith("-:"):
                    return None
                change = settings
                break
        return change.get("bits", self.packing["bits"]), change.get("group_size", self.packing["group_size"])

    def packs(self, name):
        return self.settings(name) is not None

    def parts(self, name, out, inp):
        bits, size = self.settings(name)
        size = group_size(size, inp)
        require(inp % size == 0 and inp * bits % 32 == 0 and out * bits % 32 == 0, 3, f"{out}x{inp} cannot be packed in {bits} bits and groups of {size}")
        groups = inp // size
        return {
            "qweight": (("int32",), (inp * bits // 32, out)),
            "qzeros": (("int32",), (groups, out * bits // 32)),
            "scales": (HALVES, (groups, out)),
            "g_idx": (("int32",), (inp,)),
        }

    def check(self, folder, linears, tensors):
        """What one of the clients or servers relies on."""
        packing = self.packing
        require(packing.get("checkpoint_format") == packing.get("format") in ("gptq", "gptq_v2"), 3, "format and checkpoint_format are not one known format")
        with open(os.path.join(folder, "quantize_config.json"), encoding="utf-8") as text:
            require(json.load(text) == packing, 3, "quantize_config.json and config.json disagree")
        for name, (_, inp) in linears.items():
            groups = tensors[f"{name}.g_idx"]
            require(0 <= int(groups.min()) and int(groups.max()) < len(tensors[f"{name}.scales"]), 3, f"{name}.g_idx names a group that is not there")
            bits, size = self.settings(name)
            in_order = torch.arange(inp) // group_size(size, inp)
            require(packing["desc_act"] or bool((groups == in_order).all()), 3, f"{name}.g_idx is not in order, and desc_act is false")
            # vLLM's kernels for symmetric grids never read the zeros.
            zeros = unpack(tensors[f"{name}.qzeros"], bits) + (packing["format"] == "gptq")
            require(not packing["sym"] or bool((zeros == 2 ** (bits - 1)).all()), 3, f"{name}.qzeros are not those of a symmetric grid")

    def options(self):
        # Only `backend` is taken from here: the default one on a CPU computes in bf16, with 10 % of noise in the logits.
        return {"quantization_config": GPTQConfig(bits=self.packing["bits"], backend="torch"), "device_map": {"": "cpu"}}

    def weight_of(self, name, module):
        require(hasattr(module, "dequantize_weight"), 2, f"the client took {name} for a plain {type(module).__name__}")
        return module.dequantize_weight().T


class Awq:
    """Codes and zeros are packed along the outputs, eight to a word."""

    unpacks_late = False

    def __init__(self, packing):
        self.packing, self.size, self.floats = packing, packing["group_size"], packing["modules_to_not_convert"] or []

    def packs(self, name):
        return not any(part in name for part in self.floats)

    def parts(self, _name, out, inp):
        size = group_size(self.size, inp)
        require(inp % size == 0 and out % 8 == 0, 3, f"{out}x{inp} cannot be packed in groups of {size}")
        groups = inp // size
        return {"qweight": (("int32",), (inp, out // 8)), "qzeros": (("int32",), (groups, out // 8)), "scales": (HALVES, (groups, out))}

    def check(self, _folder, _linears, _tensors):
        packing = self.packing
        require((packing["bits"], packing["version"], packing["zero_point"]) == (4, "gemm", True), 3, f"this is no layout of AWQ's: {packing}")

    def options(self):
        return {"quantization_config": AwqConfig(bits=4, backend="torch_awq"), "device_map": {"": "cpu"}}

    def weight_of(self, name, module):
        from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm

        require(hasattr(module, "qweight"), 2, f"the client took {name} for a plain {type(module).__name__}")
        return dequantize_gemm(module.qweight, module.qzeros, module.scales, module.bits, module.group_size).T


class CompressedTensors:
    """Codes are packed along the inputs, zeros along the outputs; groups of modules have settings of their own."""

    # When the model runs for the first time.
    unpacks_late = True

    def __init__(self, packing):
        self.packing = packing
        self.groups = [(group["targets"], group["weights"]) for group in packing["config_groups"].values()]

    def scheme(self, name):
        found = [weights for targets, weights in self.groups if any(self.is_match(name, target) for target in targets)]
        require(len(found) == 1, 3, f"{len(found)} groups are for {name}")
        return found[0]

    @staticmethod
    def is_match(name, target):
        return re.match(target[3:], name) is not None if target.startswith("re:") else target in (name, "Linear")

    def packs(self, name):
        return not any(self.is_match(name, ignored) for ignored in self.packing["ignore"])

    def parts(self, name, out, inp):
        scheme = self.scheme(name)
        bits, size = scheme["num_bits"], group_size(scheme["group_size"], inp)
        require((scheme["strategy"] == "channel") == (scheme["group_size"] is None), 3, f"strategy {scheme['strategy']}, groups of {scheme['group_size']}")
        groups = inp // size
        zeros = {} if scheme["symmetric"] else {"weight_zero_point": (("int32",), (-(-out * bits // 32), groups))}
        return {
            "weight_packed": (("int32",), (out, -(-inp * bits // 32))),
            "weight_scale": (HALVES, (out, groups)),
            "weight_shape": (("int64",), (2,)),
            **zeros,
        }

    def check(self, _folder, linears, tensors):
        packing = self.packing
        require((packing["format"], packing["quantization_status"]) == ("pack-quantized", "compressed"), 3, f"this is not pack-quantized: {packing}")
        require("lm_head" in packing["ignore"], 3, "the head is not ignored")
        for name, shape in linears.items():
            require(tuple(tensors[f"{name}.weight_shape"].tolist()) == shape, 3, f"{name}.weight_shape is {tensors[f'{name}.weight_shape'].tolist()}")

    def options(self):
        # transformers 5.23 makes no place for packed zeros unless it dequantizes.
        asymmetric = any(not weights["symmetric"] for _, weights in self.groups)
        return {"quantization_config": CompressedTensorsConfig(dequantize=True)} if asymmetric else {}

    def weight_of(self, name, module):
        require(getattr(module, "weight", None) is not None, 2, f"the client has not unpacked {name}")
        return module.weight


LAYOUTS = {"gptq": Gptq, "awq": Awq, "compressed-tensors": CompressedTensors}
