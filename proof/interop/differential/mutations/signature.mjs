import { sign } from 'node:crypto';

import { PSS, signature } from '../keys.mjs';

/** The signature's bytes. */
export function signatures() {
  const half = (bytes) => [bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2)];
  const zeros = (bytes) => Buffer.alloc(bytes.length);
  return Object.entries({
    empty: () => Buffer.of(),
    'cut off': (bytes) => bytes.subarray(0, -1),
    'without its first byte': (bytes) => bytes.subarray(1),
    halved: (bytes) => half(bytes)[0],
    doubled: (bytes) => Buffer.concat([bytes, bytes]),
    'a byte longer': (bytes) => Buffer.concat([bytes, Buffer.of(0)]),
    'a zero before it': (bytes) => Buffer.concat([Buffer.of(0), bytes]),
    'first bit flipped': (bytes) => Buffer.concat([Buffer.of(bytes[0] ^ 0x80), bytes.subarray(1)]),
    'last bit flipped': (bytes) =>
      Buffer.concat([bytes.subarray(0, -1), Buffer.of(bytes.at(-1) ^ 1)]),
    zeros,
    ones: (bytes) => Buffer.alloc(bytes.length, 0xff),
    'r is zero': (bytes) => Buffer.concat([zeros(half(bytes)[0]), half(bytes)[1]]),
    's is zero': (bytes) => Buffer.concat([half(bytes)[0], zeros(half(bytes)[1])]),
    'halves swapped': (bytes) => Buffer.concat([half(bytes)[1], half(bytes)[0]]),
    'each half a byte longer': (bytes) =>
      Buffer.concat(half(bytes).flatMap((part) => [Buffer.of(0), part])),
    'r and s past the order': (bytes) => plusOrder(bytes),
    's negated': (bytes, { algorithm }) => negated(bytes, algorithm),
    DER: (_, { key, input, algorithm }) => sign(hashOf(algorithm), input, key),
    'of another input': (_, { key, algorithm }) => signature(algorithm, key, Buffer.from('x')),
    'of the input with a dot': (_, { key, algorithm, input }) =>
      signature(algorithm, key, Buffer.concat([input, Buffer.from('.')])),
    'by another hash': (_, { key, algorithm, input }) =>
      signature(otherHash(algorithm), key, input),
    'by PSS without a salt': pss(0),
    'by PSS with a salt of 20': pss(20),
  }).map(([name, change]) => ({ name: `signature: ${name}`, signature: change }));
}

function hashOf(algorithm) {
  return /^[ERP]S\d+$/.test(algorithm) ? `sha${algorithm.slice(2)}` : null;
}

function otherHash(algorithm) {
  if (!hashOf(algorithm)) return algorithm;
  return algorithm.endsWith('256') ? `${algorithm.slice(0, 2)}384` : `${algorithm.slice(0, 2)}256`;
}

function pss(saltLength) {
  return (bytes, { key, algorithm, input }) =>
    algorithm.startsWith('PS')
      ? sign(hashOf(algorithm), input, { key, ...PSS, saltLength })
      : bytes;
}

/** r + n and s + n, where there is room: the same numbers modulo the order. */
function plusOrder(bytes) {
  if (bytes.length !== 64) return Buffer.alloc(bytes.length, 0xff);
  return Buffer.concat(
    [bytes.subarray(0, 32), bytes.subarray(32)].map((part) => {
      const sum = (BigInt(`0x${part.toString('hex')}`) + P256_ORDER) % (1n << 256n);
      return Buffer.from(sum.toString(16).padStart(64, '0'), 'hex');
    }),
  );
}

/** n - s for s: another signature that is right, for whoever has one. */
function negated(bytes, algorithm) {
  if (algorithm !== 'ES256') return bytes;
  const s = P256_ORDER - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  return Buffer.concat([
    bytes.subarray(0, 32),
    Buffer.from(s.toString(16).padStart(64, '0'), 'hex'),
  ]);
}

const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
