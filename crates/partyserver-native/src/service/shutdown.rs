//! The end of a server: what runs may end, what is open is told, and the store
//! is closed last.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use partyserver::Close;
use tokio::time::{Instant, timeout_at};

use crate::party::AnyRoom;
use crate::service::PartyService;
use crate::socket::STOPS;

impl PartyService {
    /// Stops: new requests get 503, every socket is closed with 1001, and what
    /// runs may end within the limit. Then the store is closed.
    ///
    /// A server that the service is mounted in ends its connections first:
    /// requests that it still passes on find the store closed.
    pub async fn shutdown(&self) {
        self.stop_within(std::future::ready(())).await;
    }

    /// Stops. The connections of a listener end beside the sockets.
    pub(crate) async fn stop_within(&self, connections_ended: impl Future<Output = ()> + Send) {
        let deadline = Instant::now() + self.0.limits.shutdown_time;
        self.0.host.stopping.store(true, Ordering::SeqCst);
        self.0.stopping.send_replace(true);
        for room in self.rooms() {
            let close = Close::new(Close::GOING_AWAY, STOPS);
            room.port().connections.close_all(&close);
        }
        let ended = async {
            let sockets = self.0.limits.max_sockets_as_permits();
            let sockets_ended = self.0.sockets.acquire_many(sockets);
            let _ = tokio::join!(sockets_ended, connections_ended);
            // Turns that nobody waits for may still write.
            for room in self.rooms() {
                room.settle().await;
            }
        };
        // What still runs when time is up is cut off.
        let _ = timeout_at(deadline, ended).await;
        self.0.host.store.close().await;
    }

    fn rooms(&self) -> impl Iterator<Item = Arc<dyn AnyRoom>> {
        self.0.parties.iter().flat_map(|party| party.rooms())
    }
}
