"""libllama and libggml of the npm package node-llama-cpp, through ctypes: no compiler needed. The structs are those of llama.h and ggml.h of llama.cpp 0.5.0,
of which only the fields that are used have their names here; `llama_*_default_params` fills the rest."""
import ctypes as C
import glob
import os

import numpy as np

FOLDER = os.environ["LLAMA_BIN"]
pointer, int32, uint32, float32, flag = C.c_void_p, C.c_int32, C.c_uint32, C.c_float, C.c_bool


def library(pattern):
    return C.CDLL(glob.glob(os.path.join(FOLDER, pattern))[0], mode=C.RTLD_GLOBAL)


base, ggml, llama = library("libggml-base.*"), library("libggml.v*"), library("libllama.v*")


def fields(*groups):
    """(type, "name name …") groups as ctypes wants them."""
    return [(name, kind) for kind, names in groups for name in names.split()]


class ModelParams(C.Structure):
    _fields_ = fields(
        (pointer, "devices overrides"),
        (int32, "gpu_layers split_mode load_mode lazy_mode main_gpu"),
        (pointer, "tensor_split progress progress_data kv_overrides"),
        (flag, "vocab_only check_tensors use_extra_bufts no_host no_alloc load_mtp"),
    )


class ContextParams(C.Structure):
    _fields_ = fields(
        (uint32, "n_ctx n_batch n_ubatch n_seq_max n_rs_seq n_outputs_max n_outputs_max_per_seq"),
        (int32, "n_threads n_threads_batch ctx_type rope_scaling_type pooling_type attention_type flash_attention"),
        (float32, "rope_freq_base rope_freq_scale yarn_ext yarn_attn yarn_fast yarn_slow"),
        (uint32, "yarn_original"),
        (float32, "defrag"),
        (pointer, "eval eval_data"),
        (int32, "type_k type_v"),
        (pointer, "abort abort_data"),
        (flag, "embeddings offload_kqv no_perf op_offload swa_full kv_unified"),
        (pointer, "samplers"),
        (C.c_size_t, "n_samplers"),
        (pointer, "other"),
    )


class Batch(C.Structure):
    _fields_ = [
        ("n_tokens", int32),
        ("token", C.POINTER(int32)),
        ("embd", pointer),
        ("pos", C.POINTER(int32)),
        ("n_seq_id", C.POINTER(int32)),
        ("seq_id", C.POINTER(C.POINTER(int32))),
        ("logits", C.POINTER(C.c_int8)),
    ]


class QuantizeParams(C.Structure):
    _fields_ = fields(
        (int32, "threads ftype output_type embedding_type"),
        (flag, "allow_requantize quantize_output only_copy pure keep_split dry_run"),
        (pointer, "imatrix kv tensor_types prune"),
        (C.c_size_t, "max_buffer"),
    )


class TypeTraits(C.Structure):
    _fields_ = [
        ("name", C.c_char_p),
        ("block", C.c_int64),
        ("interleave", C.c_int64),
        ("size", C.c_size_t),
        ("quantized", flag),
        ("to_float", C.CFUNCTYPE(None, pointer, pointer, C.c_int64)),
        ("from_float", pointer),
    ]


def signature(function, result, *arguments):
    function.restype, function.argtypes = result, arguments


signature(llama.llama_model_default_params, ModelParams)
signature(llama.llama_context_default_params, ContextParams)
signature(llama.llama_model_quantize_default_params, QuantizeParams)
signature(llama.llama_model_load_from_file, pointer, C.c_char_p, ModelParams)
signature(llama.llama_init_from_model, pointer, pointer, ContextParams)
signature(llama.llama_model_quantize, uint32, C.c_char_p, C.c_char_p, C.POINTER(QuantizeParams))
signature(llama.llama_batch_init, Batch, int32, int32, int32)
signature(llama.llama_batch_free, None, Batch)
signature(llama.llama_decode, int32, pointer, Batch)
signature(llama.llama_get_logits, C.POINTER(float32), pointer)
signature(llama.llama_model_get_vocab, pointer, pointer)
signature(llama.llama_vocab_n_tokens, int32, pointer)
signature(llama.llama_tokenize, int32, pointer, C.c_char_p, int32, C.POINTER(int32), int32, flag, flag)
signature(llama.llama_token_to_piece, int32, pointer, int32, C.c_char_p, int32, int32, flag)
signature(llama.llama_get_memory, pointer, pointer)
signature(llama.llama_memory_clear, None, pointer, flag)
signature(llama.llama_free, None, pointer)
signature(llama.llama_model_free, None, pointer)
signature(base.ggml_get_type_traits, C.POINTER(TypeTraits), int32)
signature(ggml.ggml_backend_load_all_from_path, None, C.c_char_p)

log = []


@C.CFUNCTYPE(None, int32, C.c_char_p, pointer)
def keep(_level, line, _data):
    log.append(line.decode("utf-8", "replace"))


llama.llama_log_set(keep, None)
ggml.ggml_backend_load_all_from_path(FOLDER.encode())
llama.llama_backend_init()


class Refused(Exception):
    pass


class Model:
    """A loaded file. `flash`: attention in f16, llama.cpp's default."""

    def __init__(self, path, flash=True, vocab_only=False, length=512, threads=1):
        log.clear()
        params = llama.llama_model_default_params()
        params.vocab_only = vocab_only
        params.check_tensors = True
        self.model = llama.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            raise Refused("".join(log[-6:]).strip())
        self.vocab = llama.llama_model_get_vocab(self.model)
        self.size = llama.llama_vocab_n_tokens(self.vocab)
        self.context = None
        if vocab_only:
            return
        params = llama.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = length
        params.n_threads = params.n_threads_batch = threads
        params.flash_attention = -1 if flash else 0
        params.type_k = params.type_v = 0  # F32
        self.context = llama.llama_init_from_model(self.model, params)
        if not self.context:
            raise Refused("".join(log[-6:]).strip())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.context:
            llama.llama_free(self.context)
        llama.llama_model_free(self.model)

    def tokenize(self, text):
        """Ids, with what the file puts around a text, special tokens recognised."""
        raw = text.encode()
        room = len(raw) + 16
        ids = (int32 * room)()
        return list(ids[: llama.llama_tokenize(self.vocab, raw, len(raw), ids, room, True, True)])

    def text(self, ids):
        piece = C.create_string_buffer(256)
        text = b""
        for token in ids:
            size = llama.llama_token_to_piece(self.vocab, int(token), piece, len(piece), 0, False)
            text += piece.raw[:size]
        return text.decode(errors="replace")

    def logits(self, ids):
        """[tokens, vocabulary] for ids at the beginning of a text."""
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)
        batch = llama.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = int(token), i, 1, 0, 1
        status = llama.llama_decode(self.context, batch)
        llama.llama_batch_free(batch)
        if status:
            raise Refused(f"llama_decode gives {status}")
        return np.ctypeslib.as_array(llama.llama_get_logits(self.context), shape=(len(ids), self.size)).copy()

    def greedy(self, ids, count):
        ids = list(ids)
        for _ in range(count):
            ids.append(int(self.logits(ids)[-1].argmax()))
        return ids


def widen(source, target):
    """The same model with every tensor in F32, dequantized by llama.cpp."""
    params = llama.llama_model_quantize_default_params()
    params.ftype, params.threads, params.allow_requantize = 0, 1, True
    log.clear()
    if llama.llama_model_quantize(source.encode(), target.encode(), C.byref(params)):
        raise Refused("".join(log[-6:]).strip())


def dequantize(kind, rows, columns):
    """Raw rows (uint8 [rows, bytes]) of the ggml type with number `kind`, as float32 [rows, columns], by libggml."""
    rows = np.ascontiguousarray(rows)
    out = np.zeros((len(rows), columns), np.float32)
    to_float = base.ggml_get_type_traits(kind).contents.to_float
    for row, values in zip(rows, out):
        to_float(row.ctypes.data, values.ctypes.data, columns)
    return out
