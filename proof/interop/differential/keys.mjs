import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';

/** What each algorithm signs with by default: a name in `KEYS`. */
export const KEY_OF = {
  RS256: 'rsa',
  RS384: 'rsa',
  RS512: 'rsa',
  PS256: 'rsa',
  PS384: 'rsa',
  PS512: 'rsa',
  ES256: 'p256',
  ES384: 'p384',
  ES512: 'p521',
  EdDSA: 'ed25519',
  Ed25519: 'ed25519',
};

/** The algorithms that each verifier is told to accept. */
export const ALGORITHMS = Object.keys(KEY_OF);

const rsa = (modulusLength) => generateKeyPairSync('rsa', { modulusLength }).privateKey;
const ec = (namedCurve) => generateKeyPairSync('ec', { namedCurve }).privateKey;

/** The private keys by name, new in each run: no verdict depends on their bits. */
export const KEYS = {
  rsa: rsa(2048),
  'rsa-1024': rsa(1024),
  'rsa-enc': rsa(2048),
  'rsa-ps256': rsa(2048),
  p256: ec('P-256'),
  'p256-sign': ec('P-256'),
  'p256-private': ec('P-256'),
  'p256-one': ec('P-256'),
  'p256-two': ec('P-256'),
  'p256-unpublished': ec('P-256'),
  p384: ec('P-384'),
  p521: ec('P-521'),
  ed25519: generateKeyPairSync('ed25519').privateKey,
};

/** The JWK Set that each verifier is given. */
export const KEY_SET = {
  keys: [
    published('rsa'),
    published('rsa-1024'),
    published('rsa-enc', { use: 'enc' }),
    published('rsa-ps256', { alg: 'PS256' }),
    published('p256', { alg: 'ES256' }),
    published('p256-sign', { use: undefined, key_ops: ['sign'] }),
    { ...KEYS['p256-private'].export({ format: 'jwk' }), kid: 'p256-private' },
    published('p256-one', { kid: 'p256-twice' }),
    published('p256-two', { kid: 'p256-twice' }),
    published('p384'),
    published('p521'),
    published('ed25519'),
  ],
};

function published(name, members) {
  return { ...publicJwk(name), kid: name, use: 'sig', ...members };
}

export function publicJwk(name) {
  return createPublicKey(KEYS[name]).export({ format: 'jwk' });
}

/** Signs by an algorithm of RFC 7518, also by HMAC with a secret. */
export function signature(algorithm, key, input) {
  const bits = algorithm.slice(2);
  const hash = `sha${bits}`;
  switch (algorithm.slice(0, 2)) {
    case 'RS':
      return sign(hash, input, key);
    case 'PS':
      return sign(hash, input, { key, ...PSS, saltLength: Number(bits) / 8 });
    case 'ES':
      return sign(hash, input, { key, dsaEncoding: 'ieee-p1363' });
    case 'HS':
      return createHmac(hash, key).update(input).digest();
    default:
      return sign(null, input, key);
  }
}

/** RSASSA-PSS; Node's constants are OpenSSL's. */
export const PSS = { padding: 6 };
