/** The rows of a table (RFC 4180): fields in quotes may hold separators, line breaks and doubled quotes. Blank lines are left out. */
export function csvRows(text: string, separator = ","): string[][] {
  const rows: string[][] = [];
  const field = separator === "\t" ? /("(?:[^"]|"")*"|[^\t\r\n]*)(\t|\r?\n|$)/y : /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|$)/y;
  let row: string[] = [];
  while (field.lastIndex < text.length) {
    const match = field.exec(text);
    if (!match) break;
    row.push(match[1].startsWith('"') ? match[1].slice(1, -1).replaceAll('""', '"') : match[1]);
    if (match[2] === separator) continue;
    if (row.length > 1 || row[0]) rows.push(row);
    row = [];
  }
  if (row.length) rows.push(row);
  return rows;
}
