import { KEYS, KEY_OF, signature } from './keys.mjs';

export const ISSUER = 'https://id.example/tenant';
export const AUDIENCE = 'https://rooms.example';
/** For `exp` and `nbf`, in seconds: far more than a run takes. */
export const LEEWAY = 60;
/** The time by which tokens are made, in seconds since 1970. */
export const NOW = Math.floor(Date.now() / 1000);

/**
 * Makes a token, from a valid one by mutations. Each may change any step, in the
 * order of the steps:
 *
 * 1. `header`, `payload`: the objects, changed in place or returned anew
 * 2. `headerText`, `payloadText`: their JSON, a string or a buffer
 * 3. `headerPart`, `payloadPart`: their base64url
 * 4. `signWith`: algorithm and key, by which `header.part.payloadPart` is signed
 * 5. `signature`: the bytes, with what was signed
 * 6. `signaturePart`: their base64url
 * 7. `token`: the whole
 *
 * @param {{alg: string, typ: string}} base
 * @param {object[]} mutations
 */
export function token(base, mutations) {
  const pass = (step, value, ...rest) =>
    mutations.reduce((before, mutation) => mutation[step]?.(before, ...rest) ?? before, value);
  const part = (step, value) => {
    const text = pass(`${step}Text`, JSON.stringify(pass(step, value)));
    return pass(`${step}Part`, Buffer.from(text).toString('base64url'));
  };
  const keyName = KEY_OF[base.alg];
  const header = part('header', { alg: base.alg, typ: base.typ, kid: keyName });
  const payload = part('payload', {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'alice',
    exp: NOW + 3600,
    iat: NOW,
    jti: '1',
    client_id: 'app',
    scope: 'rooms:write',
  });
  const input = Buffer.from(`${header}.${payload}`);
  const { algorithm, key } = pass('signWith', { algorithm: base.alg, key: KEYS[keyName] });
  const bytes = pass('signature', signature(algorithm, key, input), { algorithm, key, input });
  const last = pass('signaturePart', bytes.toString('base64url'));
  return pass('token', `${header}.${payload}.${last}`);
}
