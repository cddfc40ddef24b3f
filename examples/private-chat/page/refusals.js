// What a close by the server means to a user: the cause, what helps, and what the page
// does next.
//
// `next` is `retry` (after a pause), `renew` (with a fresh token) or `stay`: nothing
// changes until the user does something. `offers` names what the user can do.

/** By the reason of a close with 1008, which is final. */
const POLICY = {
  'This chat is not yours.': {
    cause: 'This private room is not yours',
    remedy:
      'Only its owner gets in. If it has none yet, you can claim it. If it has one, meet them in a shared room, or use a room of your own.',
    offers: ['claim', 'own', 'lobby'],
  },
  Unauthorized: {
    cause: 'The server does not accept your access token',
    remedy:
      'Sign in again for a new one. If that one is refused too, the server and the issuer disagree about how they are set up.',
    offers: ['sign-in'],
    isExplained: true,
  },
  'insufficient scope': {
    cause: 'Your access token does not allow this',
    remedy: 'Sign in again and grant what is missing.',
    offers: ['sign-in'],
    isExplained: true,
  },
  'More than one method used for authentication': {
    cause: 'Your access token was sent in two ways at once',
    remedy:
      'Something between you and the server adds one. Reload the page; if it happens again, tell whoever runs the server.',
    offers: ['retry'],
  },
  'session ended': {
    cause: 'Your session was ended',
    remedy: 'You were signed out somewhere else. Sign in again to go on.',
    offers: ['sign-in'],
  },
};

const UNKNOWN_POLICY = {
  cause: 'The server does not let you in',
  remedy: 'It gave the reason below. Trying again will not change it.',
  offers: ['retry', 'lobby'],
};

const CODES = {
  1001: {
    cause: 'The server is stopping or restarting',
    remedy: 'You are back in as soon as it is there again.',
    next: 'retry',
  },
  1009: {
    cause: 'Your message was too long',
    remedy: 'It was not sent. It is below again: shorten it.',
    next: 'retry',
    returnsMessage: true,
  },
  1011: {
    cause: 'Something failed in this room',
    remedy: 'It starts anew by itself. Your last message may be lost.',
    next: 'retry',
  },
  1013: {
    cause: 'The server can’t let you in right now',
    remedy:
      'It is busy, or can’t reach the issuer that vouches for you. Your sign-in is not at fault.',
    next: 'retry',
  },
  3000: {
    cause: 'Your access token has expired',
    remedy: 'Asking the issuer for a new one.',
    next: 'renew',
  },
};

const LOST = {
  cause: 'The connection was lost',
  remedy: 'The network or the server went away. What others write meanwhile is missed.',
  next: 'retry',
};

/** @param {{code: number, reason: string}} close */
export function refusalOf({ code, reason }) {
  const known = code === 1008 ? (POLICY[reason] ?? UNKNOWN_POLICY) : (CODES[code] ?? LOST);
  const detail = reason ? `The server closed the connection: ${code} “${reason}”` : undefined;
  return { next: 'stay', offers: [], detail, ...known, code };
}

export const OFFLINE = {
  cause: 'You are offline',
  remedy: 'You are back in as soon as your device has a network.',
  next: 'retry',
  offers: [],
};

/** A sign-in that has ended where the issuer does not renew it unasked. */
export const SIGNED_OUT = {
  cause: 'Your access has ended',
  remedy: 'The issuer wants you to sign in again. Then you are back in this room.',
  next: 'stay',
  offers: ['sign-in'],
};

/** Fresh tokens that are refused as expired. */
export const CLOCKS = {
  cause: 'Even new access tokens count as expired',
  remedy: 'The clocks of the server and the issuer disagree. Whoever runs them can set that right.',
  next: 'stay',
  offers: ['retry'],
};

export const ISSUER_AWAY = {
  cause: 'The issuer can’t be reached',
  remedy: 'Your access has ended, and a new token has to come from there.',
  next: 'retry',
  offers: [],
};

/**
 * What the answer to a claim means.
 * @param {Response | undefined} answer undefined when there was none
 */
export async function claimRefusal(answer) {
  if (!answer) return { ...LOST, next: 'stay', offers: ['claim'] };
  const reason = challengeOf(answer).description ?? (await answer.text());
  const detail = `The server answered: ${answer.status} “${reason}”`;
  if (answer.status === 409) {
    return {
      cause: 'This room belongs to somebody else',
      remedy: 'It was claimed before. Choose another name, or meet in a shared room.',
      offers: ['own', 'lobby'],
      next: 'stay',
      detail,
    };
  }
  const known = { 401: POLICY.Unauthorized, 403: POLICY['insufficient scope'], 503: CODES[1013] };
  return { offers: ['claim'], ...(known[answer.status] ?? CODES[1011]), next: 'stay', detail };
}

/** What a `WWW-Authenticate` header says (RFC 6750 section 3). */
export function challengeOf(answer) {
  const header = answer.headers.get('WWW-Authenticate') ?? '';
  const value = (name) => new RegExp(`\\b${name}="([^"]*)"`).exec(header)?.[1];
  return { description: value('error_description'), scope: value('scope') };
}
