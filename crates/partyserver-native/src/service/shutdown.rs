//! The end of a server: running work may finish, open sockets are told, and the store
//! is closed last.

use partyserver::host::closing::server_stops;
use tokio::time::{Instant, timeout_at};

use super::PartyService;

impl PartyService {
    /// Stops: new requests get 503, every socket is closed with 1001, and running work
    /// may finish within the limit. Then the store is closed.
    ///
    /// A server that the service is mounted in must end its connections first, because
    /// requests that it still passes on find the store closed.
    pub async fn shutdown(&self) {
        self.stop_within(std::future::ready(())).await;
    }

    /// Stops. The connections of a listener end at the same time as the sockets.
    pub(super) async fn stop_within(&self, connections_ended: impl Future<Output = ()> + Send) {
        let site = &self.0;
        let deadline = Instant::now() + site.limits.shutdown_time;
        site.host.stop.begin();
        for room in site.rooms.all() {
            let close = server_stops();
            room.connections().close_all(&close);
        }
        let ended = async {
            let sockets = site.limits.max_sockets_as_permits();
            let sockets_ended = site.sockets.acquire_many(sockets);
            let _ = tokio::join!(sockets_ended, connections_ended);
            // Turns that nobody waits for may still write to the store.
            for room in site.rooms.all() {
                room.settle().await;
            }
        };
        // Work that is not done in time is cut off.
        let _ = timeout_at(deadline, ended).await;
        site.host.store.close().await;
    }
}
