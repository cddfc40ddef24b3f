// Valid and mutated tokens are given to this repository's verifier, to npm `jose` and
// to the crate `jsonwebtoken`. Each disagreement must be in a table, with its reason.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { cases } from './differential/cases.mjs';
import { DISAGREEMENTS } from './differential/disagreements.mjs';
import { ACCEPTED, jose, judge } from './differential/judges.mjs';
import { ALGORITHMS } from './differential/keys.mjs';

/** Another one makes other tokens of mutations by twos and threes. */
const SEED = Number(process.env.DIFFERENTIAL_SEED ?? 20260101);

describe(`tokens before three verifiers, seed ${SEED}`, { timeout: 300_000 }, () => {
  let judged;

  before(async () => {
    const all = cases(SEED);
    const answers = await judge(all.map(({ token }) => token));
    judged = [];
    for (const [index, each] of all.entries()) {
      const { interoperable, rfc9068, jsonwebtoken } = answers[index];
      judged.push({
        ...each,
        interoperable,
        rfc9068,
        jsonwebtoken,
        jose: await jose(each.token),
        joseWithType: await jose(each.token, 'at+jwt'),
      });
    }
  });

  test('a token with nothing wrong is accepted by all', () => {
    const right = judged.filter(({ names }) => names.join() === 'nothing');
    assert.ok(right.length >= ALGORITHMS.length);
    for (const { base, token, ...verdicts } of right) {
      assert.equal(verdicts.interoperable, ACCEPTED, token);
      assert.equal(verdicts.jose, ACCEPTED, token);
      assert.equal(verdicts.rfc9068, base.typ === 'at+jwt' ? ACCEPTED : 'type', token);
      const isKnown = !UNKNOWN_TO_JSONWEBTOKEN.includes(base.alg);
      assert.equal(verdicts.jsonwebtoken === ACCEPTED, isKnown, token);
    }
  });

  test('nothing is accepted here that jose refuses', () => {
    const only = judged.filter(
      (verdicts) =>
        (verdicts.interoperable === ACCEPTED && verdicts.jose !== ACCEPTED) ||
        (verdicts.rfc9068 === ACCEPTED && verdicts.joseWithType !== ACCEPTED),
    );
    assert.deepEqual(only, []);
  });

  test('the strict profile accepts nothing that the other one refuses', () => {
    const only = judged.filter(
      ({ rfc9068, interoperable }) => rfc9068 === ACCEPTED && interoperable !== ACCEPTED,
    );
    assert.deepEqual(only, []);
  });

  test('each disagreement is in the table', (t) => {
    const accepted = judged.filter(({ interoperable }) => interoperable === ACCEPTED);
    t.diagnostic(`${judged.length} tokens, ${accepted.length} accepted`);
    const rows = new Set(DISAGREEMENTS.flatMap(keys));
    const unexplained = new Map();
    for (const each of judged) {
      for (const { ours, other } of disagreements(each)) {
        if (each.like.some((name) => rows.has(key(name, ours, other)))) continue;
        const what = `${each.names.join(' + ')}: ${ours}, but not by ${other}`;
        if (!unexplained.has(what)) unexplained.set(what, each.token);
      }
    }
    assert.deepEqual([...unexplained], []);
  });

  test('each row of the table occurs', () => {
    const single = judged.filter(({ names }) => names.length === 1);
    const occur = new Set(
      single.flatMap((each) =>
        disagreements(each).map(({ ours, other }) => key(each.names[0], ours, other)),
      ),
    );
    const rows = DISAGREEMENTS.flatMap(keys);
    assert.deepEqual(
      rows.filter((row) => !occur.has(row)),
      [],
    );
    assert.equal(new Set(rows).size, rows.length, 'no row stands twice');
  });
});

/** The others that are of another mind about a token, and what is said of it here. */
function disagreements(verdicts) {
  const pairs = [
    [verdicts.interoperable, 'jose', verdicts.jose],
    [verdicts.rfc9068, 'jose', verdicts.joseWithType],
  ];
  // It can't be configured to require a type, so it is compared with one profile.
  if (!UNKNOWN_TO_JSONWEBTOKEN.includes(algorithm(verdicts.token))) {
    pairs.push([verdicts.interoperable, 'jsonwebtoken', verdicts.jsonwebtoken]);
  }
  return pairs
    .filter(([ours, , theirs]) => (ours === ACCEPTED) !== (theirs === ACCEPTED))
    .map(([ours, other]) => ({ ours, other }));
}

function keys({ mutations, ours, others }) {
  return mutations.flatMap((mutation) => others.map((other) => key(mutation, ours, other)));
}

function key(mutation, ours, other) {
  return `${mutation} | ${ours} | ${other}`;
}

/** What a token says that it is signed by. */
function algorithm(token) {
  try {
    return JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).alg;
  } catch {
    return undefined;
  }
}

/** About tokens of these it has no opinion. */
const UNKNOWN_TO_JSONWEBTOKEN = ['ES512', 'Ed25519'];
