import { token } from './draft.mjs';
import { ALGORITHMS } from './keys.mjs';
import { MUTATIONS } from './mutations.mjs';

/**
 * Tokens to be judged: each mutation by itself, then some by twos and threes, then
 * some with a character changed anywhere.
 * @param {number} seed
 * @returns {{base: object, names: string[], like: string[], token: string}[]} `like`:
 *   the mutations that a token may be explained by
 */
export function cases(seed) {
  const random = randomness(seed);
  return [
    ...BASES.flatMap((base) => MUTATIONS.ofEachAlgorithm.map((each) => made(base, [each]))),
    ...BASES.slice(0, 2).flatMap((base) => MUTATIONS.ofAny.map((each) => made(base, [each]))),
    ...Array.from({ length: COMBINED }, () => combined(random)),
    ...Array.from({ length: EDITED }, () => edited(random)),
  ];
}

function made(base, mutations) {
  const names = mutations.map(({ name }) => name);
  return { base, names, like: names, token: token(base, mutations) };
}

function combined(random) {
  const count = 2 + random(2);
  const chosen = [];
  while (chosen.length < count) {
    const one = ALL[random(ALL.length)];
    if (!chosen.some((other) => collide(one, other))) chosen.push(one);
  }
  return made(BASES[random(BASES.length)], chosen);
}

/** Whether two change the same text or bytes, which the second would not know again. */
function collide(one, other) {
  const steps = (mutation) =>
    Object.keys(mutation)
      .filter((step) => !['name', 'header', 'payload'].includes(step))
      .map((step) => (step === 'signWith' ? 'signature' : step));
  return one === other || steps(one).some((step) => steps(other).includes(step));
}

function edited(random) {
  const before = made(BASES[random(BASES.length)], [ALL[0]]);
  const text = before.token;
  const at = random(text.length + 1);
  const character = CHARACTERS[random(CHARACTERS.length)];
  const [name, after] = [
    ['put in', text.slice(0, at) + character + text.slice(at)],
    ['replaced', text.slice(0, at) + character + text.slice(at + 1)],
    ['left out', text.slice(0, at) + text.slice(at + 1)],
    ['swapped', text.slice(0, at) + (text[at + 1] ?? '') + (text[at] ?? '') + text.slice(at + 2)],
  ][random(4)];
  const names = [`a character ${name}`, `at ${at} of ${text.length}`];
  return { ...before, names, like: LIKE_AN_EDIT, token: after };
}

/** Numbers below a limit, the same for the same seed (mulberry32). */
function randomness(seed) {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

/** Some 20,000 take a minute or two. */
const COMBINED = Number(process.env.DIFFERENTIAL_COUNT ?? 1500);
const EDITED = COMBINED / 2;
const ALL = [...MUTATIONS.ofEachAlgorithm, ...MUTATIONS.ofAny];
const CHARACTERS = 'AQgwZz09-_.=+/ \n"{\u00e9';

const BASES = [
  { alg: 'ES256', typ: 'at+jwt' },
  { alg: 'ES256', typ: 'JWT' },
  ...ALGORITHMS.filter((alg) => alg !== 'ES256').map((alg) => ({ alg, typ: 'at+jwt' })),
];

/** What an edit of a signature can come to, and leave it right. */
const LIKE_AN_EDIT = [
  'signature: padded',
  'signature: spare bits',
  'signature: a space inside',
  'signature: a new line at its end',
];
