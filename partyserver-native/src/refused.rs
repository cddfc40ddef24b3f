//! A refused socket: it is told why, and nothing of it reaches a room.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use partyserver::Close;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_websockets::{Limits as FrameLimits, ServerBuilder};

use crate::frames::close_message;
use crate::io::Io;
use crate::limits::Limits;

/// Counts refused sockets, in all and per address.
#[derive(Default)]
pub(crate) struct Refused(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    in_all: usize,
    by_address: HashMap<Option<IpAddr>, usize>,
}

/// What counts as one address. With IPv6 that is a network of 64 bits: so many
/// addresses are one client's to choose from.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
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
        let address = address.map(counted);
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
        // Bytes are counted where they are read, whatever frames they make: then
        // the stream is at its end.
        let (reading, writing) = tokio::io::split(Io::new(upgraded));
        let stream = tokio::io::join(reading.take(MAX_DISCARDED), writing);
        let mut socket = ServerBuilder::new()
            .limits(FrameLimits::default().max_payload_len(Some(MAX_LOOKED_AT)))
            .serve(stream);
        if socket.send(close_message(&close)).await.is_err() {
            return;
        }
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() {
                break;
            }
        }
        let mut stream = socket.into_inner();
        if stream.shutdown().await.is_ok() {
            // Closing a stream with unread bytes would reset it.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    };
    // Past the time limit the stream is dropped, which is the end too.
    let _ = tokio::time::timeout(limits.close_time, dismiss).await;
    drop(place);
}

const MAX_DISCARDED: u64 = 256 * 1024;
/// A message that is larger is not looked into for a close frame behind it; so
/// much of one is held in memory.
const MAX_LOOKED_AT: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_per_address_and_in_all() {
        let limits = Limits::new().with_max_refused(3, 2);
        let refused = Arc::new(Refused::default());
        let place = |address: &str| refused.place(Some(address.parse().unwrap()), &limits);

        let first = place("203.0.113.1");
        let _second = place("::ffff:203.0.113.1");
        assert!(first.is_some() && place("203.0.113.1").is_none());
        let _third = place("2001:db8::1").expect("another address");
        assert!(place("203.0.113.2").is_none(), "there are three in all");
        drop(first);
        let _fourth = place("2001:db8::ffff:1").expect("a place was given back");
        assert_eq!(refused.0.lock().unwrap().by_address.len(), 2);
    }

    #[test]
    fn a_network_of_64_bits_counts_as_one_address() {
        let limits = Limits::new().with_max_refused(10, 1);
        let refused = Arc::new(Refused::default());
        let place = |address: &str| refused.place(Some(address.parse().unwrap()), &limits);

        let own = place("2001:db8:0:1::1");
        assert!(own.is_some() && place("2001:db8:0:1:ffff::2").is_none());
        assert!(place("2001:db8:0:2::1").is_some());
        drop(own);
        assert!(refused.0.lock().unwrap().by_address.is_empty());
    }
}
