import type { TokenWindows } from "../../src/model/calibration";

/** Windows as a .npy file of int32 [windows, length]. */
export function npy({ windows, length, ids }: TokenWindows): Uint8Array {
  const header = `{'descr': '<i4', 'fortran_order': False, 'shape': (${windows}, ${length}), }`.padEnd(117).concat("\n");
  return Buffer.concat([
    Buffer.from("\x93NUMPY\x01\x00", "latin1"),
    Buffer.from([header.length, 0]),
    Buffer.from(header),
    Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength),
  ]);
}
