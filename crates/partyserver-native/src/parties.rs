//! Parties, served on their own listener.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::request::Parts;
use partyserver::host::gate::{AnyGate, Gate};
use partyserver::host::routes::Routes;
use partyserver::{IntoServer, PartyOptions, PartyRegistry, Request, Response};
use tokio::net::{TcpListener, ToSocketAddrs};

use crate::clock::{Clock, SystemClock};
use crate::host::Host;
use crate::limits::Limits;
use crate::listen::descriptors;
use crate::room::{AllRooms, alarms, sweep};
use crate::service::PartyService;
use crate::site::Site;
use crate::stop::{Stop, stop_signal};
use crate::store::{Store, StoreError};
use crate::trust::{AllowedHosts, Trust};

/// The parties of a server and how they are served.
pub struct Parties {
    routes: Routes,
    registered: Vec<Register>,
    data: Option<PathBuf>,
    trust: Trust,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

/// Makes the gate of a party, and adds the party's rooms, as soon as there is a host
/// for them.
type Register = Box<dyn FnOnce(&mut AllRooms) -> Box<dyn AnyGate> + Send>;

/// Why a server does not start, or why it ended. One line, for the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The server can't listen on the address: it is in use, or does not belong to this
    /// machine.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// Two parties have the same name in kebab-case, so one of them would never be
    /// reached. The program is at fault.
    #[error("two parties are named {name:?}")]
    DuplicateParty {
        /// The name in kebab-case.
        name: String,
    },
    /// The data folder or the store in it can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Parties {
    /// No parties yet, under the prefix `parties`, with a store that is deleted when
    /// the server ends.
    pub fn new() -> Self {
        Self {
            routes: Routes::new(),
            registered: Vec::new(),
            data: None,
            trust: Trust::default(),
            limits: Limits::new(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Registers a party with the default options. `factory` makes the server
    /// of a room; it is called once more for the party's gate.
    #[must_use]
    pub fn party<S: IntoServer>(
        self,
        name: &str,
        factory: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        self.party_with(name, PartyOptions::new(), factory)
    }

    /// Registers a party.
    #[must_use]
    pub fn party_with<S: IntoServer>(
        mut self,
        name: &str,
        options: PartyOptions,
        factory: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        let factory = move || factory().into_server();
        let name = self.routes.register(name);
        self.registered.push(Box::new(move |rooms| {
            let gate = Gate::new(Arc::clone(&name), options.clone(), factory());
            rooms.add(name, options, Box::new(factory));
            Box::new(gate)
        }));
        self
    }

    /// The folder of the store. It is made if its parent exists. Without a folder, no
    /// data outlives the server.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// The limits for what strangers can send.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The application's own answers, for every path that does not lead to a room.
    /// Default: 404.
    #[must_use]
    pub fn fallback<F, R>(mut self, answer: F) -> Self
    where
        F: Fn(Request) -> R + Send + Sync + 'static,
        R: Future<Output = Response> + Send + 'static,
    {
        self.routes.set_fallback(answer);
        self
    }

    /// Changes the head of each request before it is routed. Use it for rooms at paths
    /// of your own (PartySocket's `basePath`), by changing the URI. The URI is absolute
    /// here, `Host` was checked, and internal headers are gone. If you set a path
    /// alone, the scheme and the authority are kept.
    #[must_use]
    pub fn rewrite(mut self, rewrite: impl Fn(&mut Parts) + Send + Sync + 'static) -> Self {
        self.routes.set_rewrite(rewrite);
        self
    }

    /// Which `Host` values are answered. Default: on loopback, loopback's own names;
    /// elsewhere, any.
    #[must_use]
    pub fn allowed_hosts(mut self, hosts: AllowedHosts) -> Self {
        self.trust.hosts = hosts;
        self
    }

    /// The addresses of trusted proxies. Their `Forwarded` (RFC 7239), or else
    /// `X-Forwarded-For`, `-Proto` and `-Host`, are believed. Default: none.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: impl IntoIterator<Item = IpAddr>) -> Self {
        let proxies = proxies.into_iter().map(|proxy| proxy.to_canonical());
        self.trust.proxies = proxies.collect();
        self
    }

    /// The wall clock. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Opens the store and makes the service. Must be called inside a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`ServeError::DuplicateParty`] and [`ServeError::Store`].
    pub fn build(self) -> Result<PartyService, ServeError> {
        if let Some(name) = self.routes.duplicate() {
            let name = name.to_owned();
            return Err(ServeError::DuplicateParty { name });
        }
        let store = match &self.data {
            Some(folder) => Store::open(folder)?,
            None => Store::temporary()?,
        };
        let limits = fitting(self.limits);
        let mut rooms = AllRooms::new(Arc::new(Host {
            store,
            clock: self.clock,
            runtime: tokio::runtime::Handle::current(),
            stop: Stop::new(),
        }));
        let make = |register: Register| register(&mut rooms);
        let gates: Vec<_> = self.registered.into_iter().map(make).collect();
        for gate in &gates {
            gate.start();
        }
        let rooms = Arc::new(rooms);
        tokio::spawn(alarms::run(Arc::downgrade(&rooms)));
        tokio::spawn(sweep::run(Arc::downgrade(&rooms)));
        let site = Site::new(self.routes, gates, rooms, self.trust, limits);
        Ok(PartyService(Arc::new(site)))
    }

    /// Serves on an address until SIGTERM or Ctrl-C, then stops gracefully.
    ///
    /// # Errors
    /// [`ServeError`] when it can't start.
    pub async fn serve(
        self,
        address: impl ToSocketAddrs + std::fmt::Display,
    ) -> Result<(), ServeError> {
        let listener = TcpListener::bind(&address)
            .await
            .map_err(|source| ServeError::Listen {
                address: address.to_string(),
                source,
            })?;
        let stop = stop_signal();
        self.serve_on(listener, stop).await
    }

    /// Serves on a listener until `stop` is ready, then stops gracefully.
    ///
    /// # Errors
    /// [`ServeError`] when it can't start.
    pub async fn serve_on(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), ServeError> {
        let service = self.build()?;
        service.serve_on(listener, stop).await;
        Ok(())
    }
}

/// Lets a function register the same parties with every host.
impl PartyRegistry for Parties {
    fn party_with<S: IntoServer>(
        self,
        name: &str,
        options: PartyOptions,
        factory: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        self.party_with(name, options, factory)
    }

    fn fallback<F, R>(self, answer: F) -> Self
    where
        F: Fn(Request) -> R + Send + Sync + 'static,
        R: Future<Output = Response> + Send + 'static,
    {
        self.fallback(answer)
    }

    fn rewrite(self, rewrite: impl Fn(&mut Parts) + Send + Sync + 'static) -> Self {
        self.rewrite(rewrite)
    }
}

impl Default for Parties {
    fn default() -> Self {
        Self::new()
    }
}

/// The limits that the system allows. If they are lower, the log says so.
fn fitting(limits: Limits) -> Limits {
    let open_files = descriptors::raise();
    let most = open_files.map_or(usize::MAX, descriptors::for_clients);
    let fitting = limits.lowered_to(most);
    if fitting != limits {
        tracing::warn!(
            open_files,
            connections = fitting.max_connections,
            sockets = fitting.max_sockets,
            "fewer connections than the limits say"
        );
    }
    fitting
}
