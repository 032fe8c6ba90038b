import type { Certificate, FileDigest } from "../../results/certificate";
import { bytes, count } from "../format";
import { Button } from "../parts/Button";
import { copy } from "../parts/copy";
import { strings } from "../strings";
import { useStudio } from "../studio";
import css from "./finish.module.css";

const text = strings.export;
/** Digits of a digest that are shown; all of them are copied. */
const shownDigits = 12;

/** What was written and read back, with the files' SHA-256. */
export function Written({ name, files, certificate }: { name: string; files: string[]; certificate: Certificate }) {
  const { tensors, bytes: size } = certificate.readBack;
  const digests = new Map(certificate.written.map((file) => [file.name, file]));
  return (
    <>
      <p>{text.readBack(count(tensors), bytes(size))}</p>
      <details open>
        <summary>{text.files(name)}</summary>
        <ul className={css.files}>
          {files.map((file) => (
            <li key={file}>
              {file} {digests.has(file) && <Digest file={digests.get(file)!} />}
            </li>
          ))}
        </ul>
      </details>
    </>
  );
}

function Digest({ file: { name, sha256 } }: { file: FileDigest }) {
  const studio = useStudio();
  return (
    <span className={css.digest}>
      <code title={sha256}>{sha256.slice(0, shownDigits)}…</code>
      <Button
        aria-label={text.copyDigest(name)}
        onClick={async () => studio.notify((await copy(sha256)) ? text.copiedDigest(name) : `SHA-256 ${name}: ${sha256}`)}
      >
        {text.copy}
      </Button>
    </span>
  );
}
