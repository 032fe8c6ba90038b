/** Recognises, by its first bytes, a file that is not what its name says. */

interface Sniffed {
  /** Completes "config.json is …". */
  what: string;
  hint: string;
  /** The person cannot have meant its bytes to be read as text. */
  isForeign?: boolean;
}

const again = "Download the file itself again.";

const startsWith = (bytes: Uint8Array, ...values: number[]) => values.every((value, i) => bytes[i] === value);

const pointer = "version https://git-lfs";

/** Ordinary text may begin with "version" too, so `text` has to agree with `pointer` as far as it goes. */
const isPointer = (text: string) => text.length >= 7 && pointer.startsWith(text.slice(0, pointer.length));

/** What these first bytes of a file (eight are enough) say it is; null where nothing speaks against what its name says. */
export function sniff(bytes: Uint8Array): Sniffed | null {
  if (!bytes.length) return { what: "empty", hint: again };
  if (startsWith(bytes, 0x1f, 0x8b)) return { what: "packed with gzip", hint: "Unpack it first." };
  if (startsWith(bytes, 0x50, 0x4b, 3, 4))
    return { what: "a zip archive (PyTorch's .bin and .pt are such)", hint: "Get the .safetensors version.", isForeign: true };
  if (startsWith(bytes, 0x47, 0x47, 0x55, 0x46))
    return { what: "a GGUF file under another name", hint: "Get the .safetensors version.", isForeign: true };
  if (startsWith(bytes, 0xef, 0xbb, 0xbf))
    return { what: "text that begins with a byte order mark", hint: "Save it as UTF-8 without BOM." };
  if (startsWith(bytes, 0xff, 0xfe) || startsWith(bytes, 0xfe, 0xff)) return { what: "UTF-16 text", hint: "Save it as UTF-8 without BOM." };
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, 200)).trimStart().toLowerCase();
  if (isPointer(text)) return { what: "a Git LFS pointer, not the data", hint: 'Run "git lfs pull" in the model folder.', isForeign: true };
  if (text.startsWith("<!doct") || text.startsWith("<html"))
    return { what: "a web page, not the file", hint: `${again} A browser saved the page that shows it.`, isForeign: true };
  return null;
}
