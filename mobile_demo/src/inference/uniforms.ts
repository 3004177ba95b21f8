/**
 * The random numbers of a seed, as in keras_seq/uniforms.py: a seed gives the same text here and in
 * Python. This is NumPy's `default_rng((seed, 0)).random(count, "float32")`: SeedSequence
 * (O'Neill 2015, "Developing a seed_seq alternative") and PCG64 (O'Neill 2014).
 */

const POOL = 4;
const INIT_A = 0x43b0d7e5, MULT_A = 0x931e8875;
const INIT_B = 0x8b51f9dd, MULT_B = 0x58f38ded;
const MIX_L = 0xca01f9dd, MIX_R = 0x4973f715;
const PCG_MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const MASK_64 = (1n << 64n) - 1n, MASK_128 = (1n << 128n) - 1n;

/** Returns `count` numbers in [0, 1): those of row 0 for `seed`, a whole number of 64 bits in decimal digits. */
export function randomUniforms(seed: string, count: number): Float32Array {
  const [low, high] = [Number(BigInt(seed) & 0xffffffffn), Number(BigInt(seed) >> 32n)];
  const nextUint32 = pcg64(seedWords([low, ...(high ? [high] : []), 0], 8));
  return Float32Array.from({length: count}, () => (nextUint32() >>> 8) / 2 ** 24);
}

/** Returns `SeedSequence(entropy).generate_state(count)`. */
function seedWords(entropy: number[], count: number): Uint32Array {
  let constant = INIT_A;
  const hash = (value: number) => {
    value ^= constant;
    constant = Math.imul(constant, MULT_A);
    value = Math.imul(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mix = (x: number, y: number) => {
    const value = Math.imul(x, MIX_L) - Math.imul(y, MIX_R);
    return (value ^ (value >>> 16)) >>> 0;
  };
  const pool = Array.from({length: POOL}, (_, i) => hash(entropy[i] ?? 0));
  for (let source = 0; source < POOL; source++) {
    for (let target = 0; target < POOL; target++) {
      if (source !== target) pool[target] = mix(pool[target]!, hash(pool[source]!));
    }
  }
  constant = INIT_B;
  return Uint32Array.from({length: count}, (_, i) => {
    let value = pool[i % POOL]! ^ constant;
    constant = Math.imul(constant, MULT_B);
    value = Math.imul(value, constant);
    return value ^ (value >>> 16);
  });
}

/** Returns a generator of 32 bits at a time, the lower half of each 64 first; `words` are its eight words of seed. */
function pcg64(words: Uint32Array): () => number {
  const word64 = (i: number) => BigInt(words[2 * i]!) | (BigInt(words[2 * i + 1]!) << 32n);
  const start = (word64(0) << 64n) | word64(1);
  const increment = ((((word64(2) << 64n) | word64(3)) << 1n) | 1n) & MASK_128;
  const step = (state: bigint) => (state * PCG_MULTIPLIER + increment) & MASK_128;
  let state = step((step(0n) + start) & MASK_128);
  let high: number | null = null;
  return () => {
    if (high !== null) {
      const value = high;
      high = null;
      return value;
    }
    state = step(state);
    const folded = ((state >> 64n) ^ state) & MASK_64;
    const rotation = state >> 122n;
    const word = ((folded >> rotation) | (folded << ((64n - rotation) & 63n))) & MASK_64;
    high = Number(word >> 32n);
    return Number(word & 0xffffffffn);
  };
}
