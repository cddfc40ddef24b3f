//! Serves on a listener: which connections are accepted, and which are turned away.

pub(crate) mod descriptors;
pub(crate) mod places;
pub(crate) mod tcp;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use partyserver::PeerAddress;
use partyserver::host::OnLoopback;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_service::Service;

use self::places::Places;
use self::tcp::{ConnectionPlace, Tcp};
use crate::limits::Limits;
use crate::stop::Stop;
use crate::trust::Trust;

/// The error type of an answer's body.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What all listeners of a server share.
pub(crate) struct Listeners {
    /// A permit for each further connection.
    in_all: Arc<Semaphore>,
    /// The connections that count by their address.
    by_address: Arc<Places>,
    trust: Arc<Trust>,
    limits: Arc<Limits>,
    stop: Stop,
}

impl Listeners {
    pub(crate) fn new(trust: Arc<Trust>, limits: Arc<Limits>, stop: Stop) -> Self {
        let in_all = limits.max_connections_as_permits() as usize;
        Self {
            in_all: Arc::new(Semaphore::new(in_all)),
            by_address: Places::new(usize::MAX, limits.connections_per_address()),
            trust,
            limits,
            stop,
        }
    }

    /// Accepts connections until `stop` is ready, and serves each in a task of its own.
    /// Accepted connections go on after that.
    pub(crate) async fn serve<A, B>(
        &self,
        app: A,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send,
    ) where
        A: Service<http::Request<Incoming>, Response = http::Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        A::Future: Send,
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let is_loopback = listener
            .local_addr()
            .is_ok_and(|address| address.ip().is_loopback());
        let mut stop = std::pin::pin!(stop);
        loop {
            let place = tokio::select! {
                () = &mut stop => break,
                place = Arc::clone(&self.in_all).acquire_owned() => place,
            };
            // The semaphore of places is never closed.
            let Ok(place) = place else { break };
            let (stream, peer) = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&listener) => accepted,
            };
            let Some(place) = self.place(place, peer.ip()) else {
                turn_away(stream);
                continue;
            };
            let connection = Accepted {
                stream: Tcp::new(stream, place, self.stop.clone(), *self.limits),
                peer,
                is_loopback,
                limits: *self.limits,
                stop: self.stop.clone(),
            };
            tokio::spawn(connection.serve(app.clone()));
        }
    }

    /// Waits until all connections have ended.
    pub(crate) async fn all_ended(&self) {
        let all = self.limits.max_connections_as_permits();
        // The semaphore of places is never closed, so this waits until all places are
        // free.
        let _ = self.in_all.acquire_many(all).await;
    }

    /// The place of a connection from an address. `None` when the address has too many
    /// connections.
    fn place(&self, permit: OwnedSemaphorePermit, peer: IpAddr) -> Option<ConnectionPlace> {
        let is_counted = !self.trust.speaks_for_others(peer.to_canonical());
        let of_address = if is_counted {
            Some(self.by_address.take(Some(peer))?)
        } else {
            None
        };
        Some(ConnectionPlace {
            _in_all: permit,
            _of_address: of_address,
        })
    }
}

/// A connection that was accepted and has a place.
struct Accepted {
    stream: Tcp,
    peer: SocketAddr,
    is_loopback: bool,
    limits: Limits,
    stop: Stop,
}

impl Accepted {
    /// Serves the connection until it ends or is upgraded. When the server stops, the
    /// running request is still answered.
    async fn serve<A, B>(self, app: A)
    where
        A: Service<http::Request<Incoming>, Response = http::Response<B>, Error = Infallible>
            + Clone,
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + 'static,
    {
        let Self {
            stream,
            peer,
            is_loopback,
            limits,
            stop,
        } = self;
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(PeerAddress(peer));
            if is_loopback {
                request.extensions_mut().insert(OnLoopback);
            }
            let mut app = app.clone();
            async move {
                poll_fn(|cx| app.poll_ready(cx)).await?;
                app.call(request).await
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time)
            .max_buf_size(limits.max_head)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        // If a connection breaks, only its client is concerned.
        tokio::select! {
            _ = &mut connection => return,
            () = stop.begun() => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// Answers a client whose address has too many connections. It writes what it can at
/// once and keeps nothing of the client.
fn turn_away(stream: TcpStream) {
    let tell = || {
        let mut stream = stream.into_std()?;
        stream.write_all(TURNED_AWAY.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        // Closing a stream with unread bytes resets it.
        stream.read(&mut [0; 4096])
    };
    // If the client can't be told, it sees the connection end.
    let _ = tell();
}

/// Accepts a connection. After a failure it tries again; if no descriptor is left, it
/// pauses.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut is_logged = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // A small frame must not wait for the next one.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if !std::mem::replace(&mut is_logged, true) {
                    tracing::error!(%error, "accepting connections fails; trying on");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

const TURNED_AWAY: &str = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\
    Cache-Control: private, no-store\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[test]
    fn an_address_has_so_many_connections_unless_it_speaks_for_others() {
        let limits = Limits::new().max_connections_per_address(2);
        let proxy: IpAddr = "198.51.100.7".parse().unwrap();
        let trust = Trust {
            proxies: vec![proxy],
            ..Trust::default()
        };
        let listeners = Listeners::new(Arc::new(trust), Arc::new(limits), Stop::new());
        let take = |address: &str| {
            let permit = Arc::clone(&listeners.in_all).try_acquire_owned();
            listeners.place(permit.unwrap(), address.parse().unwrap())
        };
        let first = take("203.0.113.1").expect("the first");
        let _second = take("::ffff:203.0.113.1").expect("the second");
        assert!(take("203.0.113.1").is_none(), "there are two");
        let _other = take("203.0.113.2").expect("another address");
        drop(first);
        let _again = take("203.0.113.1").expect("a place was given back");
        for address in ["198.51.100.7", "::ffff:198.51.100.7", "127.0.0.1", "::1"] {
            let many: Vec<_> = (0..10).map(|_| take(address)).collect();
            assert!(many.iter().all(Option::is_some), "{address}");
        }
    }

    #[tokio::test]
    async fn one_that_is_turned_away_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        turn_away(stream);
        let mut told = String::new();
        client.read_to_string(&mut told).await.unwrap();
        assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
        assert!(told.contains("\r\nRetry-After: 5\r\n"), "{told}");
    }
}
