// Rooms by their addresses: `#/shared/lobby`, `#/private/diary`.

const ADDRESS = /^#\/(shared|private)\/((?!\.+$)[A-Za-z0-9_.~-]{1,64})$/;

/** Where everybody meets who was given no other address. */
export const LOBBY = { kind: 'shared', name: 'lobby' };

/** The room of an address; undefined when it is none. */
export function roomAt(hash) {
  const [, kind, name] = ADDRESS.exec(hash) ?? [];
  return kind && { kind, name };
}

export function addressOf({ kind, name }) {
  return `#/${kind}/${name}`;
}

/** The path of a room on the server. */
export function pathOf({ kind, name }) {
  return `/parties/${kind}-chat/${name}`;
}

/** The private room that a user is offered, named after the user. */
export function ownRoom(user) {
  const name = user.replace(/[^A-Za-z0-9_.~-]+/g, '-').slice(0, 64);
  const own = { kind: 'private', name };
  return roomAt(addressOf(own)) ?? { kind: 'private', name: 'mine' };
}
