import { createPublicKey } from 'node:crypto';

import { NOW } from '../draft.mjs';
import { KEYS, KEY_OF, publicJwk } from '../keys.mjs';
import { without } from './member.mjs';

/** `alg`, and what signs. */
export function algorithms() {
  const header = (alg) => ({ header: (header) => ({ ...header, alg }) });
  const hmac = (of, key) => ({
    name: `alg: HS256, signed with ${of}`,
    ...header('HS256'),
    signWith: () => ({ algorithm: 'HS256', key: key() }),
  });
  const unsigned = (alg) => ({
    name: `alg: ${alg}, without a signature`,
    ...header(alg),
    signature: () => Buffer.of(),
  });
  const otherKey = (alg, key) => ({
    name: `alg: ${alg} with the key ${key}`,
    ...header(alg),
    header: (header) => ({ ...header, alg, kid: key }),
    signWith: () => ({ algorithm: algorithmOf(key), key: KEYS[key] }),
  });
  return [
    ...['none', 'None', 'NONE', ''].map(unsigned),
    ...[null, 7, true, ['ES256'], { name: 'ES256' }].map((alg) => ({
      name: `alg: ${JSON.stringify(alg)}`,
      ...header(alg),
    })),
    { name: 'alg: absent', header: without('alg') },
    { name: 'alg: in lower case', ...header('es256') },
    { name: 'alg: unknown', ...header('ES256K') },
    hmac('the PEM of the public key', () => pem('rsa')),
    hmac('the JWK of the public key', () => JSON.stringify(publicJwk('rsa'))),
    hmac('the x coordinate', () => Buffer.from(publicJwk('p256').x, 'base64url')),
    hmac('nothing', () => ''),
    otherKey('RS256', 'p256'),
    otherKey('ES256', 'rsa'),
    otherKey('ES256', 'p384'),
    otherKey('ES384', 'p256'),
    otherKey('ES256', 'ed25519'),
    otherKey('EdDSA', 'p256'),
    ...['RS256', 'RS512', 'PS256', 'PS384'].map((alg) => ({
      name: `alg: ${alg}, signed by another of RSA`,
      header: (header) => ({ ...header, alg, kid: 'rsa' }),
      signWith: () => ({ algorithm: alg === 'PS256' ? 'RS256' : 'PS256', key: KEYS.rsa }),
    })),
    {
      name: 'alg: RS256 with a key for PS256',
      header: (header) => ({ ...header, alg: 'RS256', kid: 'rsa-ps256' }),
      signWith: () => ({ algorithm: 'RS256', key: KEYS['rsa-ps256'] }),
    },
  ];
}

/** `typ`. */
export function types() {
  const values = [
    ...['JWT', 'jwt', 'AT+JWT', 'application/at+jwt', 'Application/AT+JWT', 'application/jwt'],
    ...['logout+jwt', 'dpop+jwt', 'secevent+jwt', 'at+jwt ', '', null, 7, ['at+jwt']],
  ];
  return [
    { name: 'typ: absent', header: without('typ') },
    ...values.map((typ) => ({
      name: `typ: ${JSON.stringify(typ)}`,
      header: (header) => ({ ...header, typ }),
    })),
  ];
}

/** `kid`, and what signs. */
export function keyIds() {
  const signedBy = (kid, key = kid, algorithm = algorithmOf(key)) => ({
    name: key === kid ? `kid: ${kid}` : `kid: ${kid}, signed with ${key}`,
    header: (header) => ({ ...header, alg: algorithm, kid }),
    signWith: () => ({ algorithm, key: KEYS[key] }),
  });
  return [
    { name: 'kid: absent', header: without('kid') },
    {
      name: 'kid: absent, and one key fits',
      header: ({ typ }) => ({ alg: 'ES384', typ }),
      signWith: () => ({ algorithm: 'ES384', key: KEYS.p384 }),
    },
    {
      name: 'kid: absent, signed with a key that is not published',
      header: ({ typ }) => ({ alg: 'ES256', typ }),
      signWith: () => ({ algorithm: 'ES256', key: KEYS['p256-unpublished'] }),
    },
    ...['unknown', '', '../../dev/null', null, 7, ['p256']].map((kid) => ({
      name: `kid: ${JSON.stringify(kid)}`,
      header: (header) => ({ ...header, kid }),
    })),
    signedBy('p256', 'p256-unpublished'),
    signedBy('rsa-1024'),
    signedBy('rsa-enc'),
    signedBy('p256-sign'),
    signedBy('p256-private'),
    signedBy('p256-twice', 'p256-one'),
    signedBy('p256-twice', 'p256-two'),
  ];
}

/** Every other parameter of a header (RFC 7515 section 4.1, RFC 7797). */
export function headers() {
  const member = (name, members, more) => ({
    name,
    header: (header) => ({ ...header, ...members }),
    ...more,
  });
  const stranger = () => ({ algorithm: 'ES256', key: KEYS['p256-unpublished'] });
  const embedded = { jwk: publicJwk('p256-unpublished') };
  return [
    member('crit: ["exp"]', { crit: ['exp'], exp: NOW + 3600 }),
    member('crit: unknown', { crit: ['x'], x: 1 }),
    member('crit: []', { crit: [] }),
    member('crit: null', { crit: null }),
    member('crit: a text', { crit: 'exp' }),
    member('crit: a number inside', { crit: [7] }),
    member('crit: b64 is true', { crit: ['b64'], b64: true }),
    member('crit: b64 is false', { crit: ['b64'], b64: false }),
    member('b64: true', { b64: true }),
    member('b64: false', { b64: false }),
    member('b64: null', { b64: null }),
    member('jwk: the right key', { jwk: publicJwk('p256') }),
    member('jwk: of a stranger', { ...embedded, alg: 'ES256' }, { signWith: stranger }),
    member(
      'jwk: of a stranger, without kid',
      { ...embedded, alg: 'ES256', kid: undefined },
      { signWith: stranger },
    ),
    member('jwk: not a key', { jwk: 7 }),
    member('jku', { jku: 'https://evil.example/keys' }),
    member('x5u', { x5u: 'https://evil.example/chain' }),
    member('x5c', { x5c: ['AAAA'] }),
    member('x5c: a text', { x5c: 'AAAA' }),
    member('x5t', { x5t: 'AAAA', 'x5t#S256': 'AAAA' }),
    member('cty: JWT', { cty: 'JWT' }),
    member('zip', { zip: 'DEF' }),
    member('zip: unknown', { zip: 'x' }),
    member('enc', { enc: 'A128GCM' }),
    member('enc: unknown', { enc: 'x' }),
    member('unknown header parameter', { 'https://example/x': { a: [1, null] } }),
    member('nonce in the header', { nonce: 7 }),
  ];
}

/** What a key of this name signs by. */
function algorithmOf(key) {
  return Object.keys(KEY_OF).find((algorithm) => key.startsWith(KEY_OF[algorithm]));
}

function pem(name) {
  return createPublicKey(KEYS[name]).export({ type: 'spki', format: 'pem' });
}
