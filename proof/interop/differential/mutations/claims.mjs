import { AUDIENCE, ISSUER, NOW } from '../draft.mjs';
import { without } from './member.mjs';

/** `exp`, `nbf` and `iat`: types and extremes. */
export function times() {
  const values = {
    null: 'null',
    'a text': `"${NOW + 3600}"`,
    true: 'true',
    'an array': `[${NOW + 3600}]`,
    'an object': '{}',
    'a fraction': `${NOW + 3600}.5`,
    'an exponent': '2e9',
    'past 2^53': '9007199254740993',
    'past 2^63': '9223372036854775808',
    'past 2^64': '18446744073709551616',
    '1e308': '1e308',
    '1e999': '1e999',
    'a tiny fraction': '1e-300',
    0: '0',
    '-0': '-0',
    '-1': '-1',
    '-1e308': '-1e308',
    'an hour ago': `${NOW - 3600}`,
    'within the leeway': `${NOW - 20}`,
    'ahead within the leeway': `${NOW + 20}`,
    'in an hour': `${NOW + 3600}`,
    'a leading zero': '02000000000',
    'a plus sign': '+2000000000',
    'in hexadecimal': '0x7fffffff',
    'an empty text': '""',
  };
  return ['exp', 'nbf', 'iat'].flatMap((name) => [
    { name: `${name}: absent`, payload: without(name) },
    ...Object.entries(values).map(([value, json]) => ({
      name: `${name}: ${value}`,
      ...raw(name, json),
    })),
  ]);
}

/** Every other claim. */
export function claims() {
  const claim = (name, value, label = JSON.stringify(value)) => ({
    name: `${name}: ${label}`,
    payload: (payload) => ({ ...payload, [name]: value }),
  });
  const unmarked = ({ client_id: _, scope: __, ...payload }) => payload;
  const origin = ISSUER.replace('/tenant', '');
  return [
    ...['iss', 'aud', 'sub', 'jti', 'client_id'].map((name) => ({
      name: `${name}: absent`,
      payload: without(name),
    })),
    claim('iss', `${ISSUER}/`, 'with a slash'),
    claim('iss', origin, 'without the path'),
    claim('iss', ISSUER.toUpperCase(), 'in upper case'),
    claim('iss', ISSUER.replace('https', 'http'), 'http'),
    claim('iss', ISSUER.replace('.example', '.example:443'), 'with the port'),
    claim('iss', ` ${ISSUER}`, 'with a space'),
    claim('iss', `${ISSUER}\0`, 'with a NUL'),
    claim('iss', `${ISSUER}#`, 'with a fragment'),
    claim('iss', [ISSUER], 'an array'),
    claim('iss', [ISSUER, 'https://evil.example'], 'an array with another'),
    ...['', null, 7, {}].map((value) => claim('iss', value)),
    claim('aud', [AUDIENCE], 'an array'),
    claim('aud', ['other', AUDIENCE], 'an array with another'),
    claim('aud', [AUDIENCE, AUDIENCE], 'an array with it twice'),
    claim('aud', [AUDIENCE, 7], 'an array with a number'),
    claim('aud', [AUDIENCE, null], 'an array with null'),
    claim('aud', [[AUDIENCE]], 'an array in an array'),
    claim('aud', { [AUDIENCE]: 1 }, 'an object'),
    claim('aud', `${AUDIENCE}/`, 'with a slash'),
    claim('aud', `other ${AUDIENCE}`, 'two in a text'),
    claim('aud', AUDIENCE.toUpperCase(), 'in upper case'),
    ...['', 'other', ['other'], [], [''], null, 7].map((value) => claim('aud', value)),
    ...['', ' ', 'ä\u{1f600}', null, 7, true, ['alice'], {}].map((value) => claim('sub', value)),
    claim('sub', 'a'.repeat(9000), 'long'),
    ...[7, null, ''].map((value) => claim('jti', value)),
    ...[7, [], null].map((value) => claim('scope', value)),
    claim('cnf', { jkt: 'x' }),
    claim('cnf', { 'x5t#S256': 'x' }),
    claim('cnf', null),
    claim('act', { sub: 'bot' }),
    claim('act', 7),
    claim('nonce', 'n'),
    claim('at_hash', 'x'),
    claim('c_hash', 'x'),
    claim('events', {}),
    claim('token_use', 'access'),
    claim('token_use', 'id'),
    ...['Bearer', 'JWT', 'ID', 'Logout', 7].map((typ) => ({
      name: `claim typ: ${JSON.stringify(typ)}`,
      payload: (payload) => ({ ...payload, typ }),
    })),
    { name: 'no mark of an access token', payload: unmarked },
    {
      name: 'an ID token',
      payload: (payload) => ({ ...unmarked(payload), nonce: 'n', at_hash: 'x', azp: 'app' }),
    },
    claim('__proto__ ', { sub: 'admin' }, 'with a space'),
    { name: '__proto__', ...raw('__proto__', '{"sub":"admin"}') },
  ];
}

/** A change that gives a claim a value as it stands in JSON. */
function raw(name, json) {
  const mark = '"its value"';
  return {
    payload: (payload) => ({ ...payload, [`raw ${name}`]: 'its value' }),
    payloadText: (text) => {
      const all = JSON.parse(text);
      delete all[name];
      return JSON.stringify(all).replace(`"raw ${name}":${mark}`, `"${name}":${json}`);
    },
  };
}
