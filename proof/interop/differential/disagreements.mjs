/**
 * Where this repository's verifier and another are of different minds, and why. A row
 * says what is done here: a code of `oauth2_jwt_bearer::Error` where a token is refused
 * that the others accept, `accepted` where they refuse it. It stands for each of its
 * mutations with each of its others, and each of these must occur.
 *
 * @type {{
 *   because: string,
 *   ours: string,
 *   others: ('jose' | 'jsonwebtoken')[],
 *   mutations: string[],
 * }[]}
 */
export const DISAGREEMENTS = [
  {
    because:
      'Base64url in a JWS has no padding, no line breaks, no white space (RFC 7515 2), and one ' +
      'spelling: spare bits must be zero (RFC 4648 3.5), or a token has many spellings',
    ours: 'malformed',
    others: ['jose'],
    mutations: [
      ...['header', 'payload', 'signature'].flatMap((part) => [
        `${part}: padded`,
        `${part}: spare bits`,
        `${part}: a space inside`,
        `${part}: a new line at its end`,
      ]),
      'token: a new line after it',
    ],
  },
  {
    because:
      'Member names are unique (RFC 7515 4, RFC 7519 4), in objects within too: RFC 8725 2.4',
    ours: 'malformed',
    others: ['jose', 'jsonwebtoken'],
    mutations: [
      'header: a member twice, unknown',
      'header: a member twice, inside',
      'header: a member twice, in an array',
      'payload: a member twice, unknown',
      'payload: a member twice, inside',
      'payload: a member twice, in an array',
      'payload: jti twice',
    ],
  },
  {
    because: 'The same, where jsonwebtoken reads the member and finds it twice',
    ours: 'malformed',
    others: ['jose'],
    mutations: [
      'header: alg twice, the right one last',
      'header: kid twice, the same',
      'payload: sub twice',
      'payload: sub twice, one escaped',
      'payload: exp twice',
      'payload: aud twice, ours last',
      'payload: iss twice, ours last',
    ],
  },
  {
    because: 'JSON begins without a byte order mark (RFC 8259 8.1)',
    ours: 'malformed',
    others: ['jose'],
    mutations: ['header: a byte order mark', 'payload: a byte order mark'],
  },
  {
    because: 'Half a surrogate pair is no character (RFC 8259 8.2), and no Rust text can hold it',
    ours: 'malformed',
    others: ['jose'],
    mutations: ['header: a surrogate alone', 'payload: a surrogate alone'],
  },
  {
    because: 'A number past the range of a double is not finite: BEHAVIOUR, "not finite numbers"',
    ours: 'malformed',
    others: ['jose'],
    mutations: [
      'exp: 1e999',
      'iat: 1e999',
      'header: 1e999 somewhere',
      'header: a longer integer',
      'payload: 1e999 somewhere',
      'payload: a longer integer',
    ],
  },
  {
    because: 'A limit for what a stranger sends: 128 levels of nesting (RFC 8259 9)',
    ours: 'malformed',
    others: ['jose'],
    mutations: ['header: 200 levels', 'payload: 200 levels'],
  },
  {
    because: 'A limit for what a stranger sends: 16 KiB for a token',
    ours: 'too_large',
    others: ['jose', 'jsonwebtoken'],
    mutations: ['token: over 16 KiB'],
  },
  {
    because: 'A header that names an extension is refused: none is understood (RFC 7515 4.1.11)',
    ours: 'critical_header',
    others: ['jsonwebtoken'],
    mutations: ['crit: ["exp"]', 'crit: unknown', 'crit: []', 'crit: null', 'crit: b64 is false'],
  },
  {
    because: 'The payload of a JWT is encoded (RFC 7797 7): `b64` is refused, with any value',
    ours: 'critical_header',
    others: ['jose', 'jsonwebtoken'],
    mutations: ['crit: b64 is true', 'b64: true', 'b64: false', 'b64: null'],
  },
  {
    because: 'The type is asked for in every profile (RFC 8725 3.11)',
    ours: 'type',
    others: ['jose', 'jsonwebtoken'],
    mutations: [
      'typ: "application/jwt"',
      'typ: "logout+jwt"',
      'typ: "dpop+jwt"',
      'typ: "secevent+jwt"',
      'typ: "at+jwt "',
      'typ: ""',
    ],
  },
  {
    because: '`typ` is a text (RFC 7515 4.1.9)',
    ours: 'malformed',
    others: ['jose'],
    mutations: ['typ: null', 'typ: 7', 'typ: ["at+jwt"]'],
  },
  {
    because: 'The same of null, which jsonwebtoken takes for absent, as it does with `kid` (4.1.4)',
    ours: 'malformed',
    others: ['jsonwebtoken'],
    mutations: ['typ: null', 'kid: null'],
  },
  {
    because: 'A token without `kid` is believed only where exactly one key fits: BEHAVIOUR, Tokens',
    ours: 'unknown_key',
    others: ['jose', 'jsonwebtoken'],
    mutations: ['kid: absent'],
  },
  {
    because:
      'What a key says of itself is heeded: `alg`, `use`, `key_ops`; private keys are skipped',
    ours: 'unknown_key',
    others: ['jsonwebtoken'],
    mutations: [
      'alg: RS256 with a key for PS256',
      'kid: rsa-enc',
      'kid: p256-sign',
      'kid: p256-private',
    ],
  },
  {
    because: '`iss` is one text, equal to the configured one (RFC 7519 4.1.1, RFC 9068 4)',
    ours: 'issuer',
    others: ['jsonwebtoken'],
    mutations: ['iss: an array', 'iss: an array with another'],
  },
  {
    because: '`aud` is a text or an array of texts (RFC 7519 4.1.3)',
    ours: 'audience',
    others: ['jose'],
    mutations: ['aud: an array with a number', 'aud: an array with null'],
  },
  {
    because: '`sub` is a text (RFC 7519 4.1.2)',
    ours: 'claim',
    others: ['jose'],
    mutations: ['sub: null', 'sub: 7', 'sub: true', 'sub: ["alice"]', 'sub: {}'],
  },
  {
    because: 'An empty `sub` names nobody: BEHAVIOUR, "nothing equals nothing"',
    ours: 'claim',
    others: ['jose', 'jsonwebtoken'],
    mutations: ['sub: ""'],
  },
  {
    because: '`iat` is a number (RFC 7519 4.1.6)',
    ours: 'claim',
    others: ['jsonwebtoken'],
    mutations: [
      'iat: null',
      'iat: a text',
      'iat: true',
      'iat: an array',
      'iat: an object',
      'iat: an empty text',
    ],
  },
  {
    because: 'A token bound to a key does not pass as a bearer token (RFC 9449 7.2)',
    ours: 'bound',
    others: ['jose', 'jsonwebtoken'],
    mutations: ['cnf: {"jkt":"x"}', 'cnf: {"x5t#S256":"x"}', 'cnf: null'],
  },
  {
    because: 'An ID token is not an access token (RFC 8725 3.12): BEHAVIOUR, "Never an ID token"',
    ours: 'not_access_token',
    others: ['jose', 'jsonwebtoken'],
    mutations: [
      'at_hash: "x"',
      'c_hash: "x"',
      'events: {}',
      'token_use: "id"',
      'claim typ: "ID"',
      'claim typ: "Logout"',
      'claim typ: 7',
      'no mark of an access token',
      'an ID token',
    ],
  },
  {
    because: 'Header parameters that are not used are not read; keys inside least (RFC 8725 3.10)',
    ours: 'accepted',
    others: ['jsonwebtoken'],
    mutations: ['jwk: not a key', 'x5c: a text', 'nonce in the header'],
  },
  {
    because: 'A NumericDate is any JSON number (RFC 7519 2), and times are clamped',
    ours: 'accepted',
    others: ['jsonwebtoken'],
    mutations: ['exp: past 2^64', 'exp: 1e308', 'nbf: -1', 'nbf: -1e308'],
  },
];
