//! The configuration of workerd for a Worker.

use std::fmt::Write;

use super::wrangler::Wrangler;

/// The text of `config.capnp`. The command line says where to listen and where to
/// store. The variables come from the environment.
pub(super) fn text(wrangler: &Wrangler) -> String {
    let (mut namespaces, mut bindings) = (String::new(), String::new());
    for (name, class) in &wrangler.objects {
        // Writing to a string can't fail.
        let _ = writeln!(
            namespaces,
            "    (className = {class:?}, uniqueKey = {class:?}, enableSql = true),"
        );
        let _ = writeln!(
            bindings,
            "    (name = {name:?}, durableObjectNamespace = {class:?}),"
        );
    }
    for name in VARIABLES {
        let _ = writeln!(
            bindings,
            "    (name = {name:?}, fromEnvironment = {name:?}),"
        );
    }
    let date = &wrangler.compatibility_date;
    // Both formats write strings in quotes.
    let flags = &wrangler.compatibility_flags;
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
    (name = "storage", disk = (writable = true)),
    (name = "network", network = (
      allow = ["public", "private"],
      tlsOptions = (trustBrowserCas = true),
    )),
  ],
  sockets = [(name = "http", http = (), service = "worker")],
);

const worker :Workerd.Worker = (
  modules = [
    (name = "index.js", esModule = embed "index.js"),
    (name = "index_bg.wasm", wasm = embed "index_bg.wasm"),
  ],
  compatibilityDate = {date:?},
  compatibilityFlags = {flags:?},
  globalOutbound = "network",
  durableObjectStorage = (localDisk = "storage"),
  durableObjectNamespaces = [
{namespaces}  ],
  bindings = [
{bindings}  ],
);
"#
    )
}

/// The variables that the examples read.
const VARIABLES: [&str; 4] = [
    "OIDC_ISSUER_URL",
    "OIDC_AUDIENCE",
    "OIDC_JWKS_URI",
    "OIDC_CLIENT_ID",
];
