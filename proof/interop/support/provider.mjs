import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

import { AUDIENCE } from './server.mjs';

/** A resource that the provider knows and the conformance server is not. */
export const OTHER_RESOURCE = 'https://elsewhere.example';

/** The algorithms of access tokens; each has a client of its name. */
export const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'];

/**
 * A real oidc-provider on a port of its own, alone there or under a path, which is
 * then part of the issuer.
 */
export class OidcProvider {
  #server;

  constructor(server, issuer) {
    this.#server = server;
    this.issuer = issuer;
  }

  /** @param {string} [mount] a path that begins with a slash */
  static async start(mount = '') {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const issuer = `http://127.0.0.1:${server.address().port}${mount}`;
    const answer = new Provider(issuer, CONFIGURATION).callback();
    server.on('request', (request, response) => {
      if (!request.url.startsWith(`${mount}/`)) {
        response.writeHead(404).end();
        return;
      }
      request.originalUrl = request.url;
      request.url = request.url.slice(mount.length);
      answer(request, response);
    });
    return new OidcProvider(server, issuer);
  }

  async stop() {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  /** An access token for a client itself (RFC 6749 section 4.4). */
  async clientCredentials(clientId, resource = AUDIENCE) {
    const answer = await this.#token({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: SECRET,
      scope: 'rooms:write',
      ...(resource && { resource }),
    });
    return answer.access_token;
  }

  /**
   * Signs a user in and consents, as a browser would by the provider's own pages,
   * and redeems the code with its PKCE verifier (RFC 7636).
   * @param {string} user
   * @param {{resource?: string | null}} [options] null: an opaque token, for userinfo
   * @returns the token endpoint's answer
   */
  async signIn(user, { resource = AUDIENCE } = {}) {
    const verifier = randomBytes(32).toString('base64url');
    const target = resource ? { resource } : {};
    const query = new URLSearchParams({
      client_id: APP,
      response_type: 'code',
      redirect_uri: CALLBACK,
      scope: 'openid rooms:write',
      state: 'xyz',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...target,
    });
    const browser = new Browser();
    const login = await browser.follow(`${this.issuer}/auth?${query}`);
    const consent = await browser.submit(login, { prompt: 'login', login: user, password: 'x' });
    const callback = new URL(await browser.submit(consent, { prompt: 'consent' }));
    return this.#token({
      grant_type: 'authorization_code',
      client_id: APP,
      redirect_uri: CALLBACK,
      code: callback.searchParams.get('code'),
      code_verifier: verifier,
      ...target,
    });
  }

  async #token(parameters) {
    const response = await fetch(`${this.issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams(parameters),
      signal: AbortSignal.timeout(5_000),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(`token endpoint: ${response.status} ${answer.error}`);
    return answer;
  }
}

/** Follows redirects and keeps cookies, as far as a sign-in needs it. */
class Browser {
  #cookies = new Map();

  /** Fetches until a page or the callback is reached; returns its URL. */
  async follow(url, init = {}) {
    for (let hops = 0; hops < 10; hops += 1) {
      const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await fetch(url, {
        ...init,
        headers: { cookie },
        redirect: 'manual',
        signal: AbortSignal.timeout(5_000),
      });
      for (const line of response.headers.getSetCookie()) {
        const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
        this.#cookies.set(name, value);
      }
      const location = response.headers.get('location');
      if (!location) {
        if (!response.ok) throw new Error(`${url}: ${response.status}`);
        return url;
      }
      url = new URL(location, url).href;
      if (url.startsWith(CALLBACK)) return url;
      init = {};
    }
    throw new Error('the provider redirects for ever');
  }

  /** Sends a form to the page that shows it. */
  submit(page, fields) {
    return this.follow(page, { method: 'POST', body: new URLSearchParams(fields) });
  }
}

const SECRET = 'a secret of this test alone';
const APP = 'app';
const CALLBACK = 'http://127.0.0.1/callback';
const KEYS = {
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: generateKeyPairSync('ed25519'),
};

const CONFIGURATION = {
  clients: [
    ...ALGORITHMS.map((algorithm) => ({
      client_id: algorithm,
      client_secret: SECRET,
      token_endpoint_auth_method: 'client_secret_post',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    })),
    {
      client_id: APP,
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      redirect_uris: [CALLBACK],
    },
  ],
  cookies: { keys: [randomBytes(32).toString('hex')] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource, client) => ({
        audience: resource,
        scope: 'rooms:write',
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: ALGORITHMS.find((name) => name === client.clientId) ?? 'RS256' } },
      }),
      // A token request without a resource is for userinfo, and gets an opaque token.
      useGrantedResource: () => false,
    },
  },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  jwks: {
    keys: Object.entries(KEYS).map(([alg, { privateKey }]) => ({
      ...privateKey.export({ format: 'jwk' }),
      alg,
      use: 'sig',
      kid: alg,
    })),
  },
  ttl: {
    AccessToken: 300,
    ClientCredentials: 300,
    Grant: 300,
    IdToken: 300,
    Interaction: 300,
    Session: 300,
  },
};
