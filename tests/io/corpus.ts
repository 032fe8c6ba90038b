import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

export interface Sample {
  bytes: Uint8Array;
  accepted: boolean;
}

/** 10,000 mutants of safetensors files, with what the official Rust reader says of them (tests/fixtures/make_headers.py). */
export function corpus(): Sample[] {
  const all = gunzipSync(readFileSync(new URL("../fixtures/headers.bin.gz", import.meta.url)));
  const out: Sample[] = [];
  for (let at = 0; at < all.length; ) {
    const length = all.readUInt32LE(at);
    out.push({ bytes: all.subarray(at + 4, at + 4 + length), accepted: all[at + 4 + length] === 1 });
    at += 5 + length;
  }
  return out;
}
