// The rooms of the npm original: one party for users who have signed in, and one whose
// rooms have an owner. They answer like the conformance server's parties.
import { WithAuth, WithOwnership } from 'agents-oauth2-jwt-bearer';
import { Server, routePartykitRequest } from 'partyserver';

/**
 * What both parties do. It is below the mixins and not above them: a hook of a class
 * that extends `WithAuth(…)` runs in place of the check.
 */
class Room extends Server {
  static options = { hibernate: true };

  // The default hook logs each connection.
  onConnect() {}

  /** Passes what begins with `b:` to the whole room; anything else comes back. */
  onMessage(connection, message) {
    if (typeof message === 'string' && message.startsWith('b:')) this.broadcast(message);
    else connection.send(message);
  }

  onRequest() {
    return Response.json({ sub: this.getClaims().sub });
  }
}

/** For everyone with a valid token. */
export class Secured extends WithAuth(Room) {}

/** For the owner alone. */
export class Owned extends WithOwnership(WithAuth(Room)) {
  /** `POST …/claim` makes the caller the owner, before ownership is checked. */
  async onAuthenticatedRequest(request) {
    const isClaim = request.method === 'POST' && new URL(request.url).pathname.endsWith('/claim');
    if (!isClaim) return super.onAuthenticatedRequest(request);
    const { sub } = this.getClaims();
    try {
      await this.setOwner(sub);
    } catch {
      return new Response('This room has an owner.', { status: 409 });
    }
    return Response.json({ owner: sub });
  }
}

export default {
  async fetch(request, env) {
    return (await routePartykitRequest(request, env)) ?? new Response('Not found', { status: 404 });
  },
};
