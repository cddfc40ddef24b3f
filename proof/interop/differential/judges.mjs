import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { createLocalJWKSet, jwtVerify } from 'jose';

import { target } from '../support/program.mjs';
import { AUDIENCE, ISSUER, LEEWAY } from './draft.mjs';
import { ALGORITHMS, KEY_SET } from './keys.mjs';

/** What is said of a token that is accepted. */
export const ACCEPTED = 'accepted';

/**
 * What npm `jose` says of a token, with every check that it has.
 * @param {string} token
 * @param {string} [typ] the type that it asks for, if any
 */
export async function jose(token, typ) {
  const options = {
    algorithms: ALGORITHMS,
    audience: AUDIENCE,
    clockTolerance: LEEWAY,
    issuer: ISSUER,
    requiredClaims: ['exp', 'iss', 'aud', 'sub'],
    ...(typ && { typ }),
  };
  try {
    await jwtVerify(token, keySet, options);
    return ACCEPTED;
  } catch (error) {
    if (error.code !== 'ERR_JWKS_MULTIPLE_MATCHING_KEYS') return error.code ?? error.name;
    // As in its documentation, the keys are tried one after another.
    let verdict = error.code;
    for await (const key of error) {
      try {
        await jwtVerify(token, key, options);
        return ACCEPTED;
      } catch (inner) {
        verdict = inner.code ?? inner.name;
      }
    }
    return verdict;
  }
}

/**
 * What this repository's verifier, by both profiles, and the crate `jsonwebtoken`
 * say of tokens.
 * @param {string[]} tokens
 * @returns {Promise<{interoperable: string, rfc9068: string, jsonwebtoken: string}[]>}
 */
export async function judge(tokens) {
  const child = spawn(target('debug/judge'), { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const configuration = { issuer: ISSUER, audience: AUDIENCE, leeway: LEEWAY, keys: KEY_SET };
  for (const line of [configuration, ...tokens]) child.stdin.write(`${JSON.stringify(line)}\n`);
  child.stdin.end();
  const answers = [];
  for await (const line of createInterface({ input: child.stdout })) answers.push(JSON.parse(line));
  const [code, signal] = await ended;
  if (code !== 0) throw new Error(`judge ended: ${signal ?? code}`);
  return answers;
}

const keySet = createLocalJWKSet(KEY_SET);
