//! The issuer: its keys, faults and counters, and the server for them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::fault::{Endpoint, Fault, Hold, HoldState};
use crate::key::{Algorithm, SigningKey};
use crate::server;
use crate::state::{Inner, State};
use crate::token::TokenBuilder;

/// A running issuer. It stops when it is dropped.
pub struct LocalIssuer {
    inner: Arc<Inner>,
    server: JoinHandle<()>,
}

/// Starts a [`LocalIssuer`].
#[derive(Clone, Debug)]
pub struct Builder {
    bind: SocketAddr,
    path: String,
    audience: String,
    users: Vec<String>,
    token_lifetime: Duration,
    admin: bool,
}

impl Builder {
    /// Where to listen. Default: 127.0.0.1 on a free port. Only loopback is
    /// accepted.
    #[must_use]
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.bind = address;
        self
    }

    /// A path that is part of the issuer, for example `/tenant`. A trailing slash is
    /// kept. Default: none.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    /// The audience of tokens. Default: `api`.
    #[must_use]
    pub fn audience(mut self, audience: &str) -> Self {
        self.audience = audience.to_owned();
        self
    }

    /// The users of the sign-in page. Default: alice, bob and carol.
    #[must_use]
    pub fn users<U: Into<String>>(mut self, users: impl IntoIterator<Item = U>) -> Self {
        self.users = users.into_iter().map(Into::into).collect();
        self
    }

    /// How long tokens are valid. Default: 5 minutes.
    #[must_use]
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// Lets anyone who reaches the issuer make tokens and set faults, over `/admin/…`.
    /// For test suites in other processes. Default: off.
    #[must_use]
    pub fn admin(mut self, admin: bool) -> Self {
        self.admin = admin;
        self
    }

    /// Starts the issuer. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the address is not on loopback or can't be bound.
    pub async fn start(self) -> std::io::Result<LocalIssuer> {
        if !self.bind.ip().is_loopback() {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                "the local issuer listens on loopback alone",
            ));
        }
        let listener = TcpListener::bind(self.bind).await?;
        let inner = Arc::new(Inner {
            origin: format!("http://{}", listener.local_addr()?),
            path: self.path,
            audience: self.audience,
            users: self.users,
            token_lifetime: self.token_lifetime,
            admin: self.admin,
            state: Mutex::new(State {
                published: vec![SigningKey::first_rsa()],
                withdrawn: Vec::new(),
                faults: HashMap::new(),
                holds: HashMap::new(),
                requests: HashMap::new(),
                cache_control: None,
                codes: HashMap::new(),
            }),
        });
        let server = tokio::spawn(server::run(listener, Arc::clone(&inner)));
        Ok(LocalIssuer { inner, server })
    }

    /// Starts the issuer for a program that has no provider: when neither
    /// `OIDC_ISSUER_URL` nor `OIDC_AUDIENCE` is set. If only one of the two is set, no
    /// issuer is started, and the program must refuse that configuration.
    ///
    /// # Errors
    /// The errors of [`Builder::start`].
    pub async fn start_unless_configured(self) -> std::io::Result<Option<LocalIssuer>> {
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if ["OIDC_ISSUER_URL", "OIDC_AUDIENCE"].iter().any(is_set) {
            return Ok(None);
        }
        self.start().await.map(Some)
    }
}

impl LocalIssuer {
    /// An issuer with the defaults. Change them, then start it.
    pub fn builder() -> Builder {
        Builder {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            path: String::new(),
            audience: "api".into(),
            users: ["alice", "bob", "carol"].map(String::from).to_vec(),
            token_lifetime: Duration::from_secs(300),
            admin: false,
        }
    }

    /// The issuer, exactly as it is in `iss`.
    pub fn url(&self) -> String {
        self.inner.url()
    }

    /// An access token. Change it, then sign it.
    pub fn token(&self) -> TokenBuilder {
        TokenBuilder::access_token(Arc::clone(&self.inner))
    }

    /// An ID token. Change it, then sign it.
    pub fn id_token(&self) -> TokenBuilder {
        TokenBuilder::id_token(Arc::clone(&self.inner))
    }

    /// A token with any bytes as payload and any header, signed with the newest key.
    pub fn sign_raw(&self, header: Map<String, Value>, payload: &[u8]) -> String {
        self.inner.sign(header, payload, None, None)
    }

    /// Publishes a new key with the newest key's algorithm, signs with it from now on,
    /// and returns its id. Older keys stay published.
    pub fn rotate(&self) -> String {
        let algorithm = self
            .inner
            .lock()
            .published
            .last()
            .map_or(Algorithm::Rs256, |key| key.algorithm);
        self.add_key(algorithm)
    }

    /// Publishes a new key, signs with it from now on, and returns its id.
    pub fn add_key(&self, algorithm: Algorithm) -> String {
        self.inner.add_key(algorithm)
    }

    /// Removes a key from the key set. It can still sign, by its id.
    pub fn withdraw(&self, key_id: &str) {
        self.inner.withdraw(key_id);
    }

    /// The ids of the published keys, oldest first.
    pub fn keys(&self) -> Vec<String> {
        self.inner
            .lock()
            .published
            .iter()
            .map(|key| key.id.clone())
            .collect()
    }

    /// Sets a fault for every endpoint, or removes it with [`Fault::None`].
    pub fn fault(&self, fault: Fault) {
        self.fault_on(Endpoint::All, fault);
    }

    /// Sets a fault for one endpoint. A fault of [`Endpoint::All`] takes precedence
    /// over others.
    pub fn fault_on(&self, endpoint: Endpoint, fault: Fault) {
        self.inner.lock().faults.insert(endpoint, fault);
    }

    /// Holds requests to an endpoint until the returned value is dropped.
    pub fn hold(&self, endpoint: Endpoint) -> Hold {
        let state = Arc::new(HoldState::new());
        self.inner.lock().holds.insert(endpoint, Arc::clone(&state));
        Hold::new(state)
    }

    /// How many requests an endpoint has received.
    pub fn requests(&self, endpoint: Endpoint) -> u64 {
        self.inner.requests(endpoint)
    }

    /// `Cache-Control` of the key set.
    pub fn cache_control(&self, value: Option<&str>) {
        self.inner.lock().cache_control = value.map(str::to_owned);
    }
}

impl Drop for LocalIssuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}
