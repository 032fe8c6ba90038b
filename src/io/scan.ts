/** The few JSON tokens that a safetensors header is made of, read strictly and in one pass. */
import { QuantError } from "../errors";
import { shown } from "./text";

const QUOTE = 34;
const BACKSLASH = 92;
const escapes: ReadonlyMap<number, string> = new Map([...'"\\/bfnrt'].map((c, i) => [c.charCodeAt(0), '"\\/\b\f\n\r\t'[i]] as const));

function hexDigit(c: number): number {
  if (c >= 48 && c <= 57) return c - 48;
  const lower = c | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** Reads tokens of a header from left to right; every problem is thrown as `bad-safetensors` with its place. */
export class Scanner {
  private at = 0;
  private readonly scratch: number[] = [];
  /** The name of what is being read, for the message: set by the caller as it goes. */
  context = "";
  private readonly text: string;
  private readonly fileName: string;

  constructor(text: string, fileName: string) {
    this.text = text;
    this.fileName = fileName;
  }

  fail(problem: string): never {
    const place = this.context ? ` (${shown(this.context)})` : "";
    const where = `${shown(this.fileName)}, header character ${this.at}${place}: ${problem}`;
    throw new QuantError("bad-safetensors", where, "Download the file again, or ask whoever wrote it for a correct one.");
  }

  private got(): string {
    return this.at < this.text.length ? `found "${shown(this.text[this.at])}"` : "the header ends";
  }

  /** JSON's four blanks, and no others. */
  blanks(): void {
    for (;;) {
      const c = this.text.charCodeAt(this.at);
      if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return;
      this.at++;
    }
  }

  expect(char: string): void {
    if (this.text[this.at] !== char) this.fail(`expected ${char === '"' ? "a string" : `"${char}"`} but ${this.got()}`);
    this.at++;
  }

  /** Steps over `char` if it is next. */
  take(char: string): boolean {
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }

  /** Steps over `null` if it is next. */
  takeNull(): boolean {
    if (!this.text.startsWith("null", this.at)) return false;
    this.at += 4;
    return true;
  }

  end(): void {
    this.blanks();
    if (this.at !== this.text.length) this.fail(`expected the end but ${this.got()}`);
  }

  /** Digits only: no sign, no leading zero, no fraction, no exponent (reading on then fails at the character after the digits). */
  integer(): number {
    const start = this.at;
    let value = 0;
    for (;;) {
      const digit = this.text.charCodeAt(this.at) - 48;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
      if (value > Number.MAX_SAFE_INTEGER) this.fail("a number is larger than 2^53 - 1");
      this.at++;
    }
    if (this.at === start) this.fail(`expected a whole number but ${this.got()}`);
    if (this.text.charCodeAt(start) === 48 && this.at - start > 1) this.fail("a number has a leading zero");
    return value;
  }

  string(): string {
    this.expect('"');
    const { text } = this;
    const start = this.at;
    for (;;) {
      const c = text.charCodeAt(this.at);
      if (c === QUOTE) return text.slice(start, this.at++);
      if (c === BACKSLASH) return this.escaped(start);
      this.printable(c);
      this.at++;
    }
  }

  /** The rest of a string that holds an escape; the cursor is on the first one. */
  private escaped(begin: number): string {
    const parts: string[] = [];
    let start = begin;
    for (;;) {
      const c = this.text.charCodeAt(this.at);
      if (c === QUOTE) break;
      if (c === BACKSLASH) {
        if (this.at > start) parts.push(this.text.slice(start, this.at));
        parts.push(this.escape());
        start = this.at;
        continue;
      }
      this.printable(c);
      this.at++;
    }
    return parts.join("") + this.text.slice(start, this.at++);
  }

  private printable(c: number): void {
    if (!(c >= 32)) this.fail(Number.isNaN(c) ? "the header ends inside a string" : "a string contains a control character");
  }

  private escape(): string {
    const c = this.text.charCodeAt(this.at + 1);
    if (c === 117) return this.unicode();
    const plain = escapes.get(c);
    if (plain === undefined) this.fail("a string contains an unknown escape");
    this.at += 2;
    return plain as string;
  }

  private unicode(): string {
    const high = this.hex4();
    if (high < 0xd800 || high > 0xdfff) return String.fromCharCode(high);
    // Half of a pair cannot be written as UTF-8, so two readers would disagree about the name.
    const paired = high < 0xdc00 && this.text.charCodeAt(this.at) === BACKSLASH && this.text.charCodeAt(this.at + 1) === 117;
    const low = paired ? this.hex4() : 0;
    if (low < 0xdc00 || low > 0xdfff) this.fail("a string contains half of a surrogate pair");
    return String.fromCharCode(high, low);
  }

  /** The value of `\uXXXX` at the cursor. */
  private hex4(): number {
    let value = 0;
    for (let i = 2; i < 6; i++) {
      const digit = hexDigit(this.text.charCodeAt(this.at + i));
      if (digit < 0) this.fail("a string contains a malformed \\u escape");
      value = value * 16 + digit;
    }
    this.at += 6;
    return value;
  }

  /** One object; `member` is called with the cursor on each value and must step over it. */
  object(member: (key: string) => void): void {
    this.expect("{");
    this.blanks();
    if (this.take("}")) return;
    for (;;) {
      const key = this.string();
      this.blanks();
      this.expect(":");
      this.blanks();
      member(key);
      this.blanks();
      if (!this.take(",")) break;
      this.blanks();
    }
    this.expect("}");
  }

  /** An array of at most `limit` whole numbers. They are gathered in one scratch list, as V8 gives every list that grows from empty 17 places. */
  integers(limit: number): number[] {
    const { scratch } = this;
    let count = 0;
    this.expect("[");
    this.blanks();
    if (this.take("]")) return [];
    for (;;) {
      if (count === limit) this.fail(`a list has more than ${limit} numbers`);
      scratch[count++] = this.integer();
      this.blanks();
      if (!this.take(",")) break;
      this.blanks();
    }
    this.expect("]");
    return scratch.slice(0, count);
  }
}
