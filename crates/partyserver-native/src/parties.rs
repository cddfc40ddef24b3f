//! Parties, served on a listener of their own.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::request::Parts;
use partyserver::router::Router;
use partyserver::{PartyOptions, PartyRegistry, Request, Response, Server, answer};
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::{Semaphore, watch};

use crate::alarms::{self, Alarms};
use crate::clock::{Clock, SystemClock};
use crate::descriptors;
use crate::inbound::{AllowedHosts, Inbound};
use crate::limits::Limits;
use crate::party::{AnyParty, Party};
use crate::places::Places;
use crate::room::Host;
use crate::service::{Fallback, Inner, PartyService, Rewrite};
use crate::store::{Store, StoreError};
use crate::sweep;

/// The parties of a server and how they are served.
pub struct Parties {
    router: Router,
    registered: Vec<(Arc<str>, Register)>,
    data: Option<PathBuf>,
    inbound: Inbound,
    limits: Limits,
    clock: Arc<dyn Clock>,
    fallback: Fallback,
    rewrite: Rewrite,
}

/// Makes a party once there is a host for it.
type Register = Box<dyn FnOnce(Arc<str>, Arc<Host>) -> Box<dyn AnyParty> + Send>;

/// Why a server does not start, or ended. One line, for the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address can't be listened on: in use, or not this machine's.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// Two parties have one name, once both are in kebab-case: one of them
    /// would never be reached. The program is at fault.
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
    /// No parties yet, under the prefix `parties`, with a store that is gone
    /// when the server ends.
    pub fn new() -> Self {
        Self {
            router: Router::new("parties"),
            registered: Vec::new(),
            data: None,
            inbound: Inbound::default(),
            limits: Limits::new(),
            clock: Arc::new(SystemClock),
            fallback: Box::new(|_| {
                Box::pin(std::future::ready(answer::text(
                    http::StatusCode::NOT_FOUND,
                    "Not found",
                )))
            }),
            rewrite: Box::new(|_| {}),
        }
    }

    /// Registers a party with the default options. `factory` makes the server
    /// of a room; it is called once more for the party's gate.
    #[must_use]
    pub fn party<S: Server>(
        self,
        name: &str,
        factory: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        self.party_with(name, PartyOptions::new(), factory)
    }

    /// Registers a party.
    #[must_use]
    pub fn party_with<S: Server>(
        mut self,
        name: &str,
        options: PartyOptions,
        factory: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        let (_, name) = self.router.register(name);
        let make: Register = Box::new(move |name, host| {
            Box::new(Party::new(name, options, Box::new(factory), host))
        });
        self.registered.push((name, make));
        self
    }

    /// The folder of the store. It is made where its parent exists. Without a
    /// folder nothing outlives the server.
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

    /// The application's own answers: to paths that are no room's. Default: 404.
    #[must_use]
    pub fn fallback<F, R>(mut self, answer: F) -> Self
    where
        F: Fn(Request) -> R + Send + Sync + 'static,
        R: Future<Output = Response> + Send + 'static,
    {
        self.fallback = Box::new(move |request| Box::pin(answer(request)));
        self
    }

    /// Changes the head of each request before anything looks at it: for rooms
    /// at paths of your own (PartySocket's `basePath`), by changing the URI.
    #[must_use]
    pub fn rewrite(mut self, rewrite: impl Fn(&mut Parts) + Send + Sync + 'static) -> Self {
        self.rewrite = Box::new(rewrite);
        self
    }

    /// Which `Host` values are answered. Default: loopback's own names on
    /// loopback, any elsewhere.
    #[must_use]
    pub fn allowed_hosts(mut self, hosts: AllowedHosts) -> Self {
        self.inbound.hosts = hosts;
        self
    }

    /// The addresses of proxies whose `Forwarded` (RFC 7239), or else
    /// `X-Forwarded-For`, `-Proto` and `-Host`, are believed. Default: none.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: impl IntoIterator<Item = IpAddr>) -> Self {
        let proxies = proxies.into_iter().map(|proxy| proxy.to_canonical());
        self.inbound.trusted_proxies = proxies.collect();
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
        let mut seen = HashSet::new();
        if let Some((name, _)) = self.registered.iter().find(|(name, _)| !seen.insert(name)) {
            return Err(ServeError::DuplicateParty {
                name: name.to_string(),
            });
        }
        let store = match &self.data {
            Some(folder) => Store::open(folder)?,
            None => Store::temporary()?,
        };
        let limits = fitting(self.limits);
        let host = Arc::new(Host {
            store,
            clock: self.clock,
            alarms: Alarms::default(),
            runtime: tokio::runtime::Handle::current(),
            stopping: false.into(),
        });
        let names = self
            .registered
            .iter()
            .map(|(name, _)| Arc::clone(name))
            .collect();
        let parties: Vec<_> = self
            .registered
            .into_iter()
            .map(|(name, make)| make(name, Arc::clone(&host)))
            .collect();
        for party in &parties {
            party.start();
        }
        let inner = Arc::new(Inner {
            host,
            parties,
            names,
            router: self.router,
            inbound: self.inbound,
            limits: Arc::new(limits),
            fallback: self.fallback,
            rewrite: self.rewrite,
            refused: Places::new(limits.max_refused, limits.max_refused_per_address),
            connections: permits(limits.max_connections_as_permits()),
            by_address: Places::new(usize::MAX, limits.connections_per_address()),
            sockets: permits(limits.max_sockets_as_permits()),
            stopping: watch::Sender::new(false),
        });
        tokio::spawn(alarms::run(Arc::downgrade(&inner)));
        tokio::spawn(sweep::run(Arc::downgrade(&inner)));
        Ok(PartyService(inner))
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

/// For functions that register the same parties with every host.
impl PartyRegistry for Parties {
    fn party_with<S: Server>(
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

/// Ready at SIGTERM or Ctrl-C: for [`Parties::serve_on`]. From the call on the
/// signals no longer end the process by themselves. Must be called inside a
/// tokio runtime.
pub fn stop_signal() -> impl Future<Output = ()> + Send {
    #[cfg(unix)]
    let signals = {
        use tokio::signal::unix::{SignalKind, signal};
        (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        )
    };
    async move {
        #[cfg(unix)]
        if let (Ok(mut terminate), Ok(mut interrupt)) = signals {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            return;
        }
        // Without signals the server runs until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What can be had of the limits, which the log says when it is less.
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

fn permits(count: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count as usize))
}
