import { claims, times } from './mutations/claims.mjs';
import { algorithms, headers, keyIds, types } from './mutations/header.mjs';
import { signatures } from './mutations/signature.mjs';
import { encodings, texts, tokens } from './mutations/text.mjs';

/** What depends on the algorithm that a token is signed by. */
const OF_EACH_ALGORITHM = [{ name: 'nothing' }, ...signatures(), ...encodings(), ...tokens()];

const OF_ANY = [
  ...algorithms(),
  ...types(),
  ...keyIds(),
  ...headers(),
  ...times(),
  ...claims(),
  ...texts(),
];

/**
 * What is wrong with a token, or only unusual, by a name that says it. What each does
 * is told in `draft.mjs`.
 */
export const MUTATIONS = { ofEachAlgorithm: OF_EACH_ALGORITHM, ofAny: OF_ANY };
