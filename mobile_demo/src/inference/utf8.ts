/** Texts as the signatures take them: UTF-8 bytes. The counterpart of keras_seq/utf8.py. */
const encoder = new TextEncoder();

/** Returns the first bytes of `text`, or the last ones: at most `limit`, cut between characters. */
export function truncateUtf8(text: string, limit: number, truncationSide: 'left' | 'right' = 'right'): Uint8Array {
  const bytes = encoder.encode(text);
  if (bytes.length <= limit) return bytes;
  const isContinuation = (i: number) => (bytes[i]! & 0xc0) === 0x80;
  if (truncationSide === 'right') {
    let end = limit;
    while (end > 0 && isContinuation(end)) end--;
    return bytes.subarray(0, end);
  }
  let start = bytes.length - limit;
  while (start < bytes.length && isContinuation(start)) start++;
  return bytes.subarray(start);
}

/** Returns `text` without its last `count` bytes. */
export function dropLastBytes(text: string, count: number): string {
  if (count === 0) return text;
  const bytes = encoder.encode(text);
  return new TextDecoder().decode(bytes.subarray(0, bytes.length - count));
}

/** Returns where each part ends in the UTF-8 bytes of all of them joined. */
export function byteEnds(parts: string[]): number[] {
  let end = 0;
  return parts.map((part) => (end += encoder.encode(part).length));
}
