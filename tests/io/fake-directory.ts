/** The part of FileSystemDirectoryHandle that the sinks use, in memory, with a quota and a lock to fail at will. */
export class FakeDirectory {
  readonly kind = "directory";
  readonly entries = new Map<string, FakeDirectory | FakeFile>();
  quota = Number.POSITIVE_INFINITY;
  abortedStreams = 0;
  locked = 0;
  /** Why no file can be opened. */
  refusal: Error | null = null;
  readonly name: string;
  private readonly root: FakeDirectory;

  constructor(name: string, root?: FakeDirectory) {
    this.name = name;
    this.root = root ?? this;
  }

  get handle(): FileSystemDirectoryHandle {
    return this as unknown as FileSystemDirectoryHandle;
  }

  folder(name: string): FakeDirectory {
    return this.entries.get(name) as FakeDirectory;
  }

  content(name: string): string {
    return new TextDecoder().decode((this.entries.get(name) as FakeFile).bytes);
  }

  async *keys() {
    yield* this.entries.keys();
  }

  async getDirectoryHandle(name: string, { create = false } = {}) {
    if (!create && !this.entries.has(name)) throw new DOMException(name, "NotFoundError");
    if (!this.entries.has(name)) this.entries.set(name, new FakeDirectory(name, this.root));
    return this.entries.get(name);
  }

  async getFileHandle(name: string, { create = false } = {}) {
    if (!create && !this.entries.has(name)) throw new DOMException(name, "NotFoundError");
    if (!this.entries.has(name)) this.entries.set(name, new FakeFile(name, this.root));
    return this.entries.get(name);
  }

  async removeEntry(name: string) {
    if (!this.entries.delete(name)) throw new DOMException(name, "NotFoundError");
  }
}

class FakeFile {
  readonly kind = "file";
  bytes = new Uint8Array(0);
  readonly name: string;
  private readonly root: FakeDirectory;

  constructor(name: string, root: FakeDirectory) {
    this.name = name;
    this.root = root;
  }

  async getFile() {
    return new File([this.bytes], this.name);
  }

  private spend(n: number) {
    if (n > this.root.quota) throw new DOMException("full", "QuotaExceededError");
    this.root.quota -= n;
  }

  async createWritable() {
    let next = new Uint8Array(0);
    return {
      write: async (more: Uint8Array) => {
        this.spend(more.length);
        next = Uint8Array.from([...next, ...more]);
      },
      close: async () => {
        this.bytes = next;
      },
      abort: async () => {
        this.root.abortedStreams++;
      },
    };
  }

  async createSyncAccessHandle() {
    if (this.root.refusal) throw this.root.refusal;
    if (this.root.locked-- > 0) throw new DOMException("locked", "NoModificationAllowedError");
    return {
      write: (more: Uint8Array, { at }: { at: number }) => {
        const fits = Math.min(more.length, this.root.quota);
        this.root.quota -= fits;
        const next = new Uint8Array(Math.max(this.bytes.length, at + fits));
        next.set(this.bytes);
        next.set(more.subarray(0, fits), at);
        this.bytes = next;
        return fits;
      },
      truncate: (size: number) => {
        this.bytes = this.bytes.slice(0, size);
      },
      flush() {},
      close() {},
    };
  }
}
