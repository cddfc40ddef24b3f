// Signing in: authorization code with PKCE (RFC 6749 section 4.1, RFC 7636), in this
// window, or in a hidden frame while the issuer still knows the user.
//
// Tokens are only in this module's memory. What sessionStorage keeps while the window
// is at the issuer is worth nothing without the code that comes back.

/** Why there is no access token: a code of the issuer's (RFC 6749, OpenID Connect) or ours. */
export class SignInError extends Error {
  constructor(code, message = code) {
    super(message);
    this.code = code;
  }

  /** Whether nothing is wrong but that the user has to be asked. */
  get needsUser() {
    return NEEDS_USER.has(this.code);
  }
}

export class Session {
  #config;
  #metadata;
  #access;
  #loginHint;
  /** What was asked for beside what is always asked for. */
  #scope = '';
  #renewal;

  /** @param {{issuer: string, audience: string, clientId?: string, scope: string}} config */
  constructor(config) {
    this.#config = config;
  }

  /** Whether the page can send its user to the issuer; else tokens are pasted. */
  get canSignIn() {
    return Boolean(this.#config.clientId);
  }

  /** The token, whose it is, and until when (milliseconds since 1970). */
  get access() {
    return this.#access;
  }

  /**
   * To be called once when the page loads: ends a sign-in that was begun in this
   * window, else asks the issuer without asking the user.
   * @throws {SignInError}
   */
  async resume() {
    const answer = new URLSearchParams(location.search);
    if (answer.has('state')) {
      const begun = JSON.parse(sessionStorage.getItem(BEGUN) ?? 'null');
      sessionStorage.removeItem(BEGUN);
      // The code is removed from the address before anything else happens.
      history.replaceState(null, '', `/${begun?.hash ?? ''}`);
      if (!begun) throw new SignInError('unknown', 'This sign-in was not begun in this window.');
      this.#admit(await this.#finish(answer, begun));
      this.#scope = begun.scope;
    } else if (this.canSignIn && !sessionStorage.getItem(SIGNED_OUT)) {
      await this.renew();
    }
  }

  /**
   * An access token that is valid now, a new one where that is needed.
   * @throws {SignInError}
   */
  async freshAccess() {
    if (!this.#access || Date.now() >= this.#access.until) await this.renew();
    return this.#access;
  }

  /**
   * Gets a new access token without the user. Calls at one time share one attempt.
   * @throws {SignInError}
   */
  async renew() {
    this.#renewal ??= this.#renew().finally(() => (this.#renewal = undefined));
    return this.#renewal;
  }

  /** The server's clock counts: it says that the token has expired. */
  expire() {
    if (this.#access) this.#access.until = 0;
  }

  /**
   * Leaves for the issuer. The window comes back to the room it is in.
   * @param {string} [scope] what to ask for beside what is always asked for
   * @throws {SignInError}
   */
  async signIn(scope = '') {
    // A user who signed out here wants to choose an account.
    const prompt = sessionStorage.getItem(SIGNED_OUT) ? 'login' : undefined;
    const { url, attempt } = await this.#begin({ prompt }, scope);
    const { hash } = location;
    sessionStorage.setItem(BEGUN, JSON.stringify({ ...attempt, scope, hash }));
    location.assign(url);
  }

  /** Uses a token that the user has from elsewhere. */
  use(token) {
    this.#admit({ access_token: token });
  }

  /** Forgets the tokens. A reload does not bring them back. */
  signOut() {
    this.#access = undefined;
    this.#loginHint = undefined;
    this.#scope = '';
    sessionStorage.setItem(SIGNED_OUT, 'yes');
  }

  async #renew() {
    if (!this.canSignIn) throw new SignInError('login_required');
    const hint = { prompt: 'none', login_hint: this.#loginHint };
    const { url, attempt } = await this.#begin(hint, this.#scope);
    const tokens = await this.#finish(await answerInFrame(url), attempt);
    const user = this.#access?.user;
    const { user: newUser } = accessOf(tokens);
    // Somebody else may have signed in at the issuer with this browser.
    if (user !== undefined && user !== newUser) throw new SignInError('login_required');
    this.#admit(tokens);
  }

  #admit(tokens) {
    this.#access = accessOf(tokens);
    this.#loginHint = claimsOf(tokens.id_token)?.preferred_username;
    sessionStorage.removeItem(SIGNED_OUT);
  }

  /** The URL of an authorization request, and what its answer is checked with. */
  async #begin(parameters, scope) {
    if (!isSecureContext) {
      throw new SignInError('insecure', 'Signing in needs https, or the address localhost.');
    }
    const attempt = { verifier: random(32), state: random(16), nonce: random(16) };
    const digest = await crypto.subtle.digest(
      'SHA-256',
      new TextEncoder().encode(attempt.verifier),
    );
    const url = new URL((await this.#discover()).authorization_endpoint);
    const { clientId, audience } = this.#config;
    const all = {
      response_type: 'code',
      client_id: clientId,
      redirect_uri: REDIRECT_URI,
      scope: `${this.#config.scope} ${scope}`.trim(),
      // An API that is a URI is named by RFC 8707 section 2. For others, each provider
      // has its own way.
      resource: URL.canParse(audience) ? audience : undefined,
      audience,
      state: attempt.state,
      nonce: attempt.nonce,
      code_challenge: base64url(new Uint8Array(digest)),
      code_challenge_method: 'S256',
      ...parameters,
    };
    for (const [name, value] of Object.entries(all)) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    return { url, attempt };
  }

  /** From the answer of the authorization endpoint to tokens. */
  async #finish(answer, attempt) {
    if (answer.get('state') !== attempt.state) {
      throw new SignInError('state', 'The answer is not that to this sign-in.');
    }
    // If the answer names its issuer (RFC 9207), it must be ours.
    if (answer.has('iss') && answer.get('iss') !== this.#config.issuer) {
      throw new SignInError('issuer', 'The answer came from another issuer.');
    }
    const error = answer.get('error');
    if (error) throw new SignInError(error, answer.get('error_description') ?? error);
    const { token_endpoint } = await this.#discover();
    const tokens = await fetchJson(token_endpoint, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: this.#config.clientId,
        code: answer.get('code') ?? '',
        redirect_uri: REDIRECT_URI,
        code_verifier: attempt.verifier,
      }),
    });
    if (!tokens.access_token) {
      throw new SignInError(tokens.error ?? 'no_token', tokens.error_description);
    }
    // It came from the issuer itself, so its signature needs no check here (OpenID
    // Connect Core section 3.1.3.7). But it must belong to this attempt.
    if (tokens.id_token && claimsOf(tokens.id_token)?.nonce !== attempt.nonce) {
      throw new SignInError('nonce', 'The answer belongs to another sign-in.');
    }
    return tokens;
  }

  async #discover() {
    if (!this.#metadata) {
      const { issuer } = this.#config;
      const base = issuer.replace(/\/$/, '');
      const metadata = await fetchJson(`${base}/.well-known/openid-configuration`);
      if (metadata.issuer !== issuer) {
        throw new SignInError('issuer', `The issuer calls itself ${metadata.issuer}.`);
      }
      this.#metadata = metadata;
    }
    return this.#metadata;
  }
}

/**
 * To be called first by the page: where it is the frame of a renewal, it hands the
 * issuer's answer to the window around it.
 * @returns {boolean} whether it is one
 */
export function isFrame() {
  if (window.parent === window) return false;
  window.parent.postMessage(location.search, location.origin);
  return true;
}

async function answerInFrame(url) {
  const frame = document.createElement('iframe');
  frame.hidden = true;
  frame.src = url;
  const done = new AbortController();
  const answer = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new SignInError('no_answer')), FRAME_LIMIT);
    done.signal.addEventListener('abort', () => clearTimeout(timer));
    const take = ({ source, origin, data }) => {
      if (source === frame.contentWindow && origin === location.origin) {
        resolve(new URLSearchParams(data));
      }
    };
    addEventListener('message', take, { signal: done.signal });
  });
  document.body.append(frame);
  return answer.finally(() => {
    done.abort();
    frame.remove();
  });
}

async function fetchJson(url, options) {
  try {
    const answer = await fetch(url, { ...options, signal: AbortSignal.timeout(FETCH_LIMIT) });
    return await answer.json();
  } catch {
    throw new SignInError('unreachable', `The issuer ${new URL(url).host} gives no answer.`);
  }
}

/** What the page reads of a token; the server verifies it, the page does not. */
function accessOf({ access_token, id_token, expires_in }) {
  const claims = claimsOf(access_token) ?? {};
  const user = claims.sub ?? claimsOf(id_token)?.sub ?? '';
  const until = expires_in ? Date.now() + expires_in * 1000 : (claims.exp ?? Infinity) * 1000;
  return { token: access_token, user, claims, until };
}

function claimsOf(token) {
  try {
    const payload = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(payload), (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

function random(bytes) {
  return base64url(crypto.getRandomValues(new Uint8Array(bytes)));
}

function base64url(bytes) {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Exactly as it is registered with the issuer. */
const REDIRECT_URI = `${location.origin}/`;
const BEGUN = 'signing-in';
const SIGNED_OUT = 'signed-out';
/** Milliseconds. */
const FRAME_LIMIT = 5_000;
const FETCH_LIMIT = 10_000;
const NEEDS_USER = new Set([
  'login_required',
  'interaction_required',
  'consent_required',
  'account_selection_required',
  'no_answer',
]);
