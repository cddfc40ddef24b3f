// The JavaScript of a Worker: it hands the platform's events to the wasm module and
// drives the tasks that they become. The build puts the module's bindings (`bind`)
// before it and the classes of the Durable Objects after it.

const HANDOFF = "x-partyserver-secret-handoff";

// The module with its memory. After a trap that was no panic it is left behind, and
// all objects begin anew in another.
let engine;

function begin() {
  const bound = bind();
  const stack = bound.raw.__stack_pointer;
  return { ...bound, top: stack.value, isBroken: false };
}

const current = () => (engine ??= begin());

// Whose event is being handled: what tasks are begun for.
let context;

// Drives a task to its answer, always in the context that it was begun in.
async function drive(own, ctx, task) {
  let isWoken = false;
  let resolve;
  const wake = () => {
    isWoken = true;
    resolve?.();
  };
  for (;;) {
    isWoken = false;
    const outer = context;
    context = { own, ctx };
    try {
      const answer = task.poll(wake);
      if (answer !== undefined) {
        task.free();
        return answer;
      }
    } catch (trap) {
      return recover(own, task, trap);
    } finally {
      context = outer;
    }
    if (!isWoken) await new Promise((woken) => (resolve = woken));
    resolve = undefined;
  }
}

// A panic leaves the memory as it was at a known point: the task is over, and what
// it held is given back. After any other trap nothing can be relied on.
function recover(own, task, trap) {
  own.raw.__stack_pointer.value = own.top;
  const text = own.isBroken ? undefined : own.glue.panicText();
  if (text !== undefined) return task.panicked(text);
  own.isBroken = true;
  if (engine === own) engine = undefined;
  console.error("the module has trapped; its rooms begin anew", trap);
  return undefined;
}

const failed = () => new Response("Internal server error", { status: 500 });

function headOf(headers) {
  let head = "";
  for (const [name, value] of headers) head += `${name}\n${value}\n`;
  return head;
}

export default {
  async fetch(request, env, ctx) {
    const own = current();
    const task = own.glue.workerFetch(
      env,
      request.method,
      request.url,
      headOf(request.headers),
      request,
    );
    return (await drive(own, ctx, task)) ?? failed();
  },
};

class DurableRoom {
  #ctx;
  #env;
  #own;
  #room;
  #sockets = new Set();

  constructor(ctx, env) {
    this.#ctx = ctx;
    this.#env = env;
  }

  // The room in the present module.
  #begin() {
    if (this.#own === undefined || this.#own.isBroken) {
      // These sockets were the lost room's.
      for (const socket of this.#sockets) socket.close(1011, "");
      this.#sockets.clear();
      this.#own = current();
      this.#room = new this.#own.glue.RoomObject(
        this.constructor.party,
        this.#ctx,
        this.#env,
        this,
      );
    }
    return this.#room;
  }

  #drive(event) {
    const room = this.#begin();
    return drive(this.#own, this.#ctx, event(room));
  }

  async fetch(request) {
    const handoff = request.headers.get(HANDOFF) ?? undefined;
    const body = request.body ? new Uint8Array(await request.arrayBuffer()) : undefined;
    return (await this.#drive((room) => room.fetch(handoff, body))) ?? failed();
  }

  async webSocketMessage(socket, data) {
    await this.#drive((room) => room.message(socket, data));
  }

  async webSocketClose(socket, code, reason, wasClean) {
    await this.#drive((room) => room.closed(socket, code, reason, wasClean));
  }

  async webSocketError(socket, error) {
    await this.#drive((room) => room.broken(socket, error));
  }

  async alarm() {
    await this.#drive((room) => room.alarm());
  }

  // A socket that does not hibernate.
  listen(socket) {
    this.#sockets.add(socket);
    socket.binaryType = "arraybuffer";
    const on = (type, handle) =>
      socket.addEventListener(type, (event) =>
        handle(event).catch((error) => console.error(error)),
      );
    on("message", ({ data }) => this.webSocketMessage(socket, data));
    on("close", ({ code, reason, wasClean }) => {
      this.#sockets.delete(socket);
      return this.webSocketClose(socket, code, reason, wasClean);
    });
    on("error", ({ error }) => {
      this.#sockets.delete(socket);
      return this.webSocketError(socket, error);
    });
  }
}

// What the module asks of the platform.

function partyserverSpawn(task) {
  if (context === undefined) return false;
  const { own, ctx } = context;
  ctx.waitUntil(drive(own, ctx, task));
  return true;
}

function partyserverRespond(status, head, body) {
  const lines = head.split("\n");
  const headers = new Headers();
  for (let i = 0; i + 1 < lines.length; i += 2) headers.append(lines[i], lines[i + 1]);
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

function partyserverHandOff(env, binding, room, handoff, isUpgrade, body) {
  const namespace = env[binding];
  const headers = { [HANDOFF]: handoff };
  if (isUpgrade) headers.upgrade = "websocket";
  const method = body === undefined ? "GET" : "POST";
  const object = namespace.get(namespace.idFromName(room));
  return object.fetch("http://room/", { method, headers, body });
}

function partyserverNamespaces(env) {
  return Object.keys(env).filter((name) => typeof env[name]?.idFromName === "function");
}

function partyserverStream(chunks) {
  const { own, ctx } = context;
  return new ReadableStream({
    async pull(controller) {
      const chunk = await drive(own, ctx, chunks.next());
      if (chunk instanceof Uint8Array) controller.enqueue(chunk);
      else if (chunk === null) controller.close();
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
