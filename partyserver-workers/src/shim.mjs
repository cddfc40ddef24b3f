// The JavaScript of a Worker: it hands the platform's events to the wasm module and
// drives the tasks that they become. The build puts the module's bindings (`bind`)
// before it and the classes of the Durable Objects after it.

const HANDOFF = "x-partyserver-secret-handoff";

// The module with its memory. After a trap that was no panic it is left behind, and
// all objects begin anew in another.
let engine;

const current = () => (engine ??= { ...bind(), isBroken: false });

// Whose event is being handled: what tasks are begun for.
let context;

// Runs one step of the module in the context that it belongs to.
function step(next, code) {
  const outer = context;
  const { own } = next;
  const stack = own.raw.__stack_pointer.value;
  context = next;
  try {
    return code(own.glue);
  } catch (trap) {
    return recover(own, stack, trap);
  } finally {
    context = outer;
  }
}

// Begins what the module makes of an event. What needs not wait is answered at once,
// the rest by a promise; `null` when the module has trapped.
function begin(next, event) {
  const answer = step(next, (glue) => {
    event(glue);
    return glue.begin();
  });
  return answer instanceof next.own.glue.Task ? drive(next, answer) : answer;
}

// Drives a task to its answer, always in the context that it was begun in.
async function drive(next, task) {
  let resolve;
  let isWoken = task.listen(() => {
    isWoken = true;
    resolve?.();
  });
  for (;;) {
    if (!isWoken) await new Promise((woken) => (resolve = woken));
    resolve = undefined;
    isWoken = false;
    const answer = step(next, () => task.poll());
    if (answer === undefined) continue;
    // After a panic it is still borrowed, and left to itself.
    if (task.isOver()) task.free();
    return answer;
  }
}

// A panic leaves the memory as it was at a known point: the task is over, and what
// it held is given back. After any other trap nothing can be relied on.
function recover(own, stack, trap) {
  own.raw.__stack_pointer.value = stack;
  const answer = own.isBroken ? undefined : own.glue.panicked();
  if (answer !== undefined) return answer;
  own.isBroken = true;
  if (engine === own) engine = undefined;
  console.error("the module has trapped; its rooms begin anew", trap);
  return null;
}

const failed = () => new Response("Internal server error", { status: 500 });

function headOf(headers) {
  let head = "";
  for (const [name, value] of headers) head += `${name}\n${value}\n`;
  return head;
}

export default {
  async fetch(request, env, ctx) {
    const { method, url, headers, body } = request;
    const answer = begin({ own: current(), ctx }, (glue) =>
      glue.workerFetch(env, method, url, headOf(headers), body === null ? undefined : request),
    );
    return (await answer) ?? failed();
  },
};

class DurableRoom {
  #ctx;
  #env;
  // The module that the room is in, for this object.
  #context;
  #room;
  #sockets = new Set();

  constructor(ctx, env) {
    this.#ctx = ctx;
    this.#env = env;
  }

  // Begins an event of the room, in the present module.
  #begin(event) {
    if (this.#context === undefined || this.#context.own.isBroken) {
      // These sockets were the lost room's.
      for (const socket of this.#sockets) socket.close(1011, "");
      this.#sockets.clear();
      this.#context = { own: current(), ctx: this.#ctx };
      this.#room = step(
        this.#context,
        (glue) => new glue.RoomObject(this.constructor.party, this.#ctx, this.#env, this),
      );
    }
    return begin(this.#context, () => event(this.#room));
  }

  async fetch(request) {
    const handoff = request.headers.get(HANDOFF) ?? undefined;
    const body = request.body ? new Uint8Array(await request.arrayBuffer()) : undefined;
    return (await this.#begin((room) => room.fetch(handoff, body))) ?? failed();
  }

  webSocketMessage(socket, data) {
    return this.#begin((room) => room.message(socket, data));
  }

  webSocketClose(socket, code, reason, wasClean) {
    return this.#begin((room) => room.closed(socket, code, reason, wasClean));
  }

  webSocketError(socket, error) {
    return this.#begin((room) => room.broken(socket, error));
  }

  alarm() {
    return this.#begin((room) => room.alarm());
  }

  // A socket that does not hibernate.
  listen(socket) {
    this.#sockets.add(socket);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.webSocketMessage(socket, data));
    socket.addEventListener("close", ({ code, reason, wasClean }) => {
      this.#sockets.delete(socket);
      this.webSocketClose(socket, code, reason, wasClean);
    });
    socket.addEventListener("error", ({ error }) => {
      this.#sockets.delete(socket);
      this.webSocketError(socket, error);
    });
  }
}

// What the module asks of the platform.

function partyserverSpawn() {
  if (context === undefined) return false;
  const spawned = begin(context, () => {});
  if (spawned instanceof Promise) context.ctx.waitUntil(spawned);
  return true;
}

function partyserverRespond(status, head, body) {
  const lines = head.split("\n");
  const headers = [];
  for (let i = 0; i + 1 < lines.length; i += 2) headers.push([lines[i], lines[i + 1]]);
  return new Response(body, { status, headers });
}

function partyserverUpgrade(client, protocol) {
  const headers = protocol === undefined ? {} : { "sec-websocket-protocol": protocol };
  return new Response(null, { status: 101, webSocket: client, headers });
}

async function partyserverBody(request, max) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    // Leaving the loop cancels the rest.
    if (length > max) return null;
    chunks.push(chunk);
  }
  if (chunks.length === 1) return chunks[0];
  const whole = new Uint8Array(length);
  let end = 0;
  for (const chunk of chunks) {
    whole.set(chunk, end);
    end += chunk.length;
  }
  return whole;
}

// The answer of a room's object. What the platform says may be tried again is tried
// again: nothing of it has run then.
async function partyserverHandOff(env, binding, room, handoff, isUpgrade, body) {
  const { own } = context;
  const namespace = env[binding];
  const headers = { [HANDOFF]: handoff };
  if (isUpgrade) headers.upgrade = "websocket";
  const init = { method: body === undefined ? "GET" : "POST", headers, body };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await namespace.get(namespace.idFromName(room)).fetch("http://room/", init);
    } catch (error) {
      const isOverloaded = Boolean(error.overloaded);
      if (isOverloaded || !error.retryable || attempt === 3) {
        return own.glue.roomFailed(handoff, binding, room, String(error), isOverloaded);
      }
      await new Promise((resolve) => setTimeout(resolve, 100 * attempt));
    }
  }
}

function partyserverNamespaces(env) {
  return Object.keys(env).filter((name) => typeof env[name]?.idFromName === "function");
}

function partyserverStream(chunks) {
  const own = context;
  return new ReadableStream({
    async pull(controller) {
      const chunk = await begin(own, () => chunks.next());
      if (chunk instanceof Uint8Array) controller.enqueue(chunk);
      else if (chunk === false) controller.close();
      else controller.error(new Error(chunk ?? "the module has trapped"));
    },
  });
}

function partyserverRandomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function partyserverListen(object, socket) {
  object.listen(socket);
}
