/** The JSON of header and payload. */
export function texts() {
  const both = (name, change) => [
    { name: `header: ${name}`, headerText: change },
    { name: `payload: ${name}`, payloadText: change },
  ];
  const inside = (json) => (text) => `${text.slice(0, -1)},"x":${json}}`;
  const deep = (levels) => '['.repeat(levels) + ']'.repeat(levels);
  const again =
    (name, json, spelled = name) =>
    (text) =>
      `${text.slice(0, -1)},"${spelled}":${json}}`;
  return [
    ...both('an array', (text) => `[${text}]`),
    ...both('a text', (text) => JSON.stringify(text)),
    ...both('null', () => 'null'),
    ...both('a number', () => '7'),
    ...both('empty', () => ''),
    ...both('an empty object', () => '{}'),
    ...both('cut off', (text) => text.slice(0, -1)),
    ...both('two objects', (text) => text + text),
    ...both('a comma too much', (text) => `${text.slice(0, -1)},}`),
    ...both('a comment', (text) => `${text}/**/`),
    ...both('white space around', (text) => ` \n${text}\t\r\n`),
    ...both('a form feed around', (text) => `\f${text}`),
    ...both('a byte order mark', (text) => `\ufeff${text}`),
    ...both('a NUL at its end', (text) => `${text}\0`),
    ...both('not UTF-8', (text) =>
      Buffer.concat([Buffer.from(inside('"')(text).slice(0, -1)), Buffer.of(0xff, 0x22, 0x7d)]),
    ),
    ...both('a surrogate alone', inside('"\\ud800"')),
    ...both('a surrogate pair', inside('"\\ud83d\\ude00"')),
    ...both('a raw control character', inside('"\n"')),
    ...both('NaN', inside('NaN')),
    ...both('1e999 somewhere', inside('1e999')),
    ...both('a long integer', inside('9'.repeat(300))),
    ...both('a longer integer', inside('9'.repeat(400))),
    ...both('100 levels', inside(deep(100))),
    ...both('200 levels', inside(deep(200))),
    ...both('a member twice, unknown', (text) => inside('1')(inside('1')(text))),
    ...both('a member twice, inside', inside('{"a":1,"a":1}')),
    ...both('a member twice, in an array', inside('[{"a":1,"a":1}]')),
    ...both('a member with an empty name', (text) => again('', '1')(text)),
    { name: 'header: alg twice', headerText: again('alg', '"none"') },
    {
      name: 'header: alg twice, the right one last',
      headerText: (text) => `{"alg":"none",${text.slice(1)}`,
    },
    { name: 'header: alg twice, one escaped', headerText: again('alg', '"none"', '\\u0061lg') },
    {
      name: 'header: kid twice, the same',
      headerText: (text) => again('kid', JSON.stringify(JSON.parse(text).kid))(text),
    },
    { name: 'header: alg escaped', headerText: (text) => text.replace('"alg"', '"\\u0061lg"') },
    { name: 'header: alg in upper case', headerText: (text) => text.replace('"alg"', '"ALG"') },
    { name: 'payload: sub twice', payloadText: again('sub', '"admin"') },
    { name: 'payload: sub twice, one escaped', payloadText: again('sub', '"admin"', '\\u0073ub') },
    { name: 'payload: exp twice', payloadText: again('exp', '99999999999') },
    { name: 'payload: aud twice, ours first', payloadText: again('aud', '"other"') },
    {
      name: 'payload: aud twice, ours last',
      payloadText: (text) => `{"aud":"other",${text.slice(1)}`,
    },
    {
      name: 'payload: iss twice, ours last',
      payloadText: (text) => `{"iss":"other",${text.slice(1)}`,
    },
    { name: 'payload: jti twice', payloadText: again('jti', '"2"') },
    {
      name: 'payload: names escaped',
      payloadText: (text) => text.replace('"sub"', '"\\u0073ub"').replace('"exp"', '"e\\u0078p"'),
    },
    {
      name: 'payload: values escaped',
      payloadText: (text) => text.replaceAll('/', '\\/').replace('alice', '\\u0061lice'),
    },
  ];
}

/** Their base64url, and that of the signature. */
export function encodings() {
  return ['headerPart', 'payloadPart', 'signaturePart'].flatMap((step) => {
    const name = step.replace('Part', '');
    return [
      {
        name: `${name}: padded`,
        [step]: (part) =>
          part.padEnd(part.length + ((4 - (part.length % 4)) % 4), '=') +
          (part.length % 4 ? '' : '='),
      },
      { name: `${name}: spare bits`, [step]: spareBits },
      { name: `${name}: a space inside`, [step]: (part) => `${part.slice(0, 4)} ${part.slice(4)}` },
      { name: `${name}: a new line at its end`, [step]: (part) => `${part}\n` },
      {
        name: `${name}: a character of another alphabet`,
        [step]: (part) => `${part.slice(0, 4)}+/${part.slice(6)}`,
      },
      {
        name: `${name}: a character that is none`,
        [step]: (part) => `${part.slice(0, 4)}!${part.slice(5)}`,
      },
      {
        name: `${name}: a character too much`,
        [step]: (part) => `${part}${'A'.repeat((5 - (part.length % 4)) % 4 || 4)}`,
      },
      { name: `${name}: not ASCII`, [step]: (part) => `${part}\u0141` },
    ];
  });
}

/** The token as a whole. */
export function tokens() {
  const whole = (name, change) => ({ name: `token: ${name}`, token: change });
  return [
    whole('empty', () => ''),
    whole('two dots', () => '..'),
    whole('one part', (text) => text.split('.')[0]),
    whole('two parts', (text) => text.split('.').slice(0, 2).join('.')),
    whole('two parts and a dot', (text) => `${text.split('.').slice(0, 2).join('.')}.`),
    whole('a dot at its end', (text) => `${text}.`),
    whole('a dot before it', (text) => `.${text}`),
    whole('four parts', (text) => `${text}.AAAA`),
    whole('five parts', (text) => `${text}.AAAA.AAAA`),
    whole('twice', (text) => `${text}${text}`),
    whole('a space before it', (text) => ` ${text}`),
    whole('a new line after it', (text) => `${text}\n`),
    whole('a NUL after it', (text) => `${text}\0`),
    whole('quoted', (text) => `"${text}"`),
    whole('percent-encoded dots', (text) => text.replaceAll('.', '%2E')),
    whole('as JSON', (text) => {
      const [head, payload, last] = text.split('.');
      return JSON.stringify({ protected: head, payload, signature: last });
    }),
    whole('a header of another token', (text) =>
      [Buffer.from('{"alg":"ES256"}').toString('base64url'), ...text.split('.').slice(1)].join('.'),
    ),
    whole('a payload of another token', (text) =>
      text.replace(/\.[^.]*\./, `.${Buffer.from('{}').toString('base64url')}.`),
    ),
    {
      name: 'token: over 16 KiB',
      payload: (payload) => ({ ...payload, roles: 'x'.repeat(16 * 1024) }),
    },
  ];
}

/** The other spelling of the last character, where it has spare bits. */
function spareBits(part) {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  if (part.length % 4 < 2) return part;
  return part.slice(0, -1) + alphabet[alphabet.indexOf(part.at(-1)) + 1];
}
