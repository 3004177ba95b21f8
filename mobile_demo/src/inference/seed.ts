/** Tells whether `text` is a seed: a whole number that fits 64 bits, as Python takes it. */
export function isSeed(text: string): boolean {
  return /^\d{1,20}$/.test(text) && BigInt(text) < 2n ** 64n;
}
