// Builds a folder that workerd can run: one module and its configuration.
//
//   node build.mjs [--out build] [--secured Class=uniqueKey] [--owned Class=uniqueKey]
//
// The class is also the name of the binding and, in kebab-case, of the party. The
// unique key decides where the rooms' storage is, and which ids their names have. A
// worker with the same key and folder finds the same rooms.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { build as bundle } from 'esbuild';

/**
 * @typedef {{className: string, uniqueKey: string}} Party
 * @param {string} folder is made where it is missing
 * @param {{secured?: Party, owned?: Party}} [parties]
 * @returns {Promise<string>} the path of the configuration
 */
export async function build(folder, { secured = SECURED, owned = OWNED } = {}) {
  await mkdir(folder, { recursive: true });
  await bundle({
    stdin: {
      contents: `export {
        default, Secured as ${identifier(secured.className)}, Owned as ${identifier(owned.className)},
      } from './rooms.mjs';`,
      resolveDir: HERE,
    },
    outfile: path.join(folder, MODULE),
    bundle: true,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*', 'node:*'],
    logLevel: 'warning',
  });
  const file = path.join(folder, 'worker.capnp');
  await writeFile(file, configuration([secured, owned]));
  return file;
}

/**
 * The socket `http` and the folder `storage` get their values on the command line, the
 * issuer and the audience from the environment.
 */
function configuration(parties) {
  const namespaces = parties.map(
    ({ className, uniqueKey }) =>
      `(className = ${text(className)}, uniqueKey = ${text(uniqueKey)}, enableSql = true)`,
  );
  const bindings = parties.map(
    ({ className }) => `(name = ${text(className)}, durableObjectNamespace = ${text(className)})`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "rooms", worker = .rooms),
    (name = "storage", disk = (writable = true)),
    # The issuer of a test is on loopback.
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "rooms")],
);

const rooms :Workerd.Worker = (
  modules = [(name = "${MODULE}", esModule = embed "${MODULE}")],
  compatibilityDate = "${COMPATIBILITY_DATE}",
  # For node:async_hooks.
  compatibilityFlags = ["nodejs_compat"],
  durableObjectStorage = (localDisk = "storage"),
  durableObjectNamespaces = [
    ${namespaces.join(',\n    ')},
  ],
  bindings = [
    ${bindings.join(',\n    ')},
    (name = "OIDC_ISSUER_URL", fromEnvironment = "OIDC_ISSUER_URL"),
    (name = "OIDC_AUDIENCE", fromEnvironment = "OIDC_AUDIENCE"),
  ],
);
`;
}

function identifier(name) {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new Error(`not a class name: ${name}`);
  return name;
}

/** A literal of the configuration's language; its escapes are those of JSON. */
function text(value) {
  return JSON.stringify(value);
}

/** `Class=uniqueKey`, or `Class` when the key is the same word. */
function party(argument) {
  const [className, uniqueKey = className] = argument.split('=', 2);
  return { className, uniqueKey };
}

const HERE = path.dirname(fileURLToPath(import.meta.url));
const MODULE = 'rooms.js';
/** The day on which partyserver 0.0.71 was published. */
const COMPATIBILITY_DATE = '2026-01-19';
const SECURED = { className: 'Secured', uniqueKey: 'Secured' };
const OWNED = { className: 'Owned', uniqueKey: 'Owned' };

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: path.join(HERE, 'build') },
      secured: { type: 'string', default: 'Secured' },
      owned: { type: 'string', default: 'Owned' },
    },
  });
  const parties = { secured: party(values.secured), owned: party(values.owned) };
  console.log(await build(path.resolve(values.out), parties));
}
