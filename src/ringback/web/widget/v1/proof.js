// The proof of work: a nonce so that SHA-256(salt:nonce) begins with a number of zero bits.
// SHA-256 (FIPS 180-4) is our own, for crypto.subtle is missing on http: pages; in slices, for policies bar workers.

const SLICE_MS = 12; // of work before the page gets its turn

const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
const fraction = (number) => ((number % 1) * 2 ** 32) | 0;
const START = Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));
const ROUNDS = Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime)));
const words = new Int32Array(64);
const turned = (word, by) => (word >>> by) | (word << (32 - by));

function spread(view, at) {
  for (let i = 0; i < 16; i++) words[i] = view.getInt32(at + i * 4);
  for (let i = 16; i < 64; i++) {
    const x = words[i - 15];
    const y = words[i - 2];
    const near = turned(x, 7) ^ turned(x, 18) ^ (x >>> 3);
    const far = turned(y, 17) ^ turned(y, 19) ^ (y >>> 10);
    words[i] = words[i - 16] + near + words[i - 7] + far;
  }
}

/** Adds one more block of 64 bytes to the state. */
function compress(state, view, at) {
  spread(view, at);
  let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (let i = 0; i < 64; i++) {
    const one = h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + ROUNDS[i] + words[i];
    const two = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g; g = f; f = e; e = (d + one) | 0; d = c; c = b; b = a; a = (one + two) | 0;
  }
  state[0] += a; state[1] += b; state[2] += c; state[3] += d; state[4] += e; state[5] += f; state[6] += g; state[7] += h;
}

function bytesOf(text, size) {
  const view = new DataView(new ArrayBuffer(size));
  for (let i = 0; i < text.length; i++) view.setUint8(i, text.charCodeAt(i));
  return view;
}

/** The state after the bytes, which are whole blocks. */
function after(view, before) {
  const state = before.slice();
  for (let at = 0; at < view.byteLength; at += 64) compress(state, view, at);
  return state;
}

/** The hash of ASCII text, as eight words; of `length` bytes before it that left the state `before`, whole blocks, and it. */
export function sha256(text, before = START, length = 0) {
  const view = bytesOf(text, ((text.length + 72) >> 6) << 6);
  view.setUint8(text.length, 128);
  view.setUint32(view.byteLength - 4, (length + text.length) * 8);
  return after(view, before);
}

/** The salt and a nonce that fits. `bits` is at most 32. The blocks that are the same each time are hashed once. */
export async function solved({ salt, bits }) {
  const head = `${salt}:`;
  const same = head.length & ~63;
  const before = after(bytesOf(head.slice(0, same), same), START);
  for (let nonce = 0, until = performance.now() + SLICE_MS; ; nonce++) {
    if (sha256(head.slice(same) + nonce, before, same)[0] >>> 0 < 2 ** (32 - bits)) return { salt, nonce: String(nonce) };
    if (nonce % 64 || performance.now() < until) continue;
    await new Promise((resolve) => setTimeout(resolve));
    until = performance.now() + SLICE_MS;
  }
}
