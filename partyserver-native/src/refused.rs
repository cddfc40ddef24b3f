//! A refused socket: it is told why, and nothing of it reaches a room.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use partyserver::Close;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_websockets::{Limits as FrameLimits, ServerBuilder};

use crate::io::Io;
use crate::limits::Limits;
use crate::socket::close_message;

/// Counts refused sockets, in all and per address.
#[derive(Default)]
pub(crate) struct Refused(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    in_all: usize,
    by_address: HashMap<Option<IpAddr>, usize>,
}

/// The place of one refused socket, given back when dropped.
pub(crate) struct Place {
    counts: Arc<Refused>,
    address: Option<IpAddr>,
}

impl Refused {
    /// A place for a refused socket, while there is one.
    pub(crate) fn place(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        limits: &Limits,
    ) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Counts { in_all, by_address } = &mut *counts;
        let own = by_address.get(&address).copied().unwrap_or_default();
        if *in_all >= limits.max_refused || own >= limits.max_refused_per_address {
            return None;
        }
        *in_all += 1;
        by_address.insert(address, own + 1);
        drop(counts);
        Some(Place {
            counts: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.in_all -= 1;
        if let Some(own) = counts.by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

/// Sends the close frame, then reads and discards until the client's close
/// frame, the stream's end, or a limit.
pub(crate) async fn refuse(upgrade: OnUpgrade, close: Close, limits: Limits, place: Place) {
    let dismiss = async {
        let Ok(upgraded) = upgrade.await else { return };
        let mut socket = ServerBuilder::new()
            .limits(FrameLimits::default().max_payload_len(Some(MAX_DISCARDED)))
            .serve(Io::new(upgraded));
        if socket.send(close_message(&close)).await.is_err() {
            return;
        }
        let mut left = MAX_DISCARDED;
        while let Some(Ok(message)) = socket.next().await {
            let length = message.as_payload().len() + FRAME_HEAD;
            if message.is_close() || length > left {
                break;
            }
            left -= length;
        }
        let mut stream = socket.into_inner();
        if stream.shutdown().await.is_err() {
            return;
        }
        // Closing a stream with unread bytes would reset it, and the client
        // could lose the close frame.
        let mut rest = (&mut stream).take(MAX_DISCARDED as u64);
        // The end of the stream, or an error, is the end.
        let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    };
    // Past the time limit the stream is dropped, which is the end too.
    let _ = tokio::time::timeout(limits.close_time, dismiss).await;
    drop(place);
}

const MAX_DISCARDED: usize = 256 * 1024;
/// The least that a client's frame takes beside its payload.
const FRAME_HEAD: usize = 6;
