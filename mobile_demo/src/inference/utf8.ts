/** Texts as the graphs take them: bytes. As keras_seq/utf8.py. */
const encoder = new TextEncoder();

/** The bytes of `text`: its beginning, or its end, in `most` bytes at most, between characters. */
export function bytes(text: string, most: number, keep: 'start' | 'end' = 'start'): Uint8Array {
  const all = encoder.encode(text);
  if (all.length <= most) return all;
  const isInside = (i: number) => (all[i]! & 0xc0) === 0x80;
  let at = keep === 'start' ? most : all.length - most;
  if (keep === 'start') {
    while (at > 0 && isInside(at)) at--;
    return all.subarray(0, at);
  }
  while (at < all.length && isInside(at)) at++;
  return all.subarray(at);
}

/** `text` without its last `unread` bytes. */
export function beginning(text: string, unread: number): string {
  if (unread === 0) return text;
  const all = encoder.encode(text);
  return new TextDecoder().decode(all.subarray(0, all.length - unread));
}

/** Where in the UTF-8 of `text` each of its parts ends; `parts` joined are `text`. */
export function ends(parts: string[]): number[] {
  let end = 0;
  return parts.map((part) => (end += encoder.encode(part).length));
}
