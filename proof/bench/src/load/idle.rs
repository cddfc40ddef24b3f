//! Sockets that stay open with nothing to do.

use std::time::Duration;

use tokio::time::sleep;

use super::Size;
use crate::Result;
use crate::client::{Socket, Target};
use crate::measurement::{Measurement, Started};

/// The rate and the CPU time are those of the handshakes.
pub(super) async fn measure(target: &Target, process: u32, size: Size) -> Result<Measurement> {
    // The first sockets also pay for what is loaded only once, and for the rooms.
    let mut warm = Socket::open_many(target, size.rooms.max(WARM_UP), size.rooms).await?;
    let settle = Duration::from_secs(size.settle);
    sleep(settle).await;
    let mut started = Started::now(process)?;
    let mut sockets = Socket::open_many(target, size.connections, size.rooms).await?;
    started.stop_clock();
    sleep(settle).await;
    let measured = started.finish(size.connections as u64)?;
    // Every socket must still be open: dropped sockets would make the memory look too
    // small.
    for socket in warm.iter_mut().chain(&mut sockets) {
        socket.send(TEXT).await?;
        socket.receive(TEXT).await?;
    }
    Ok(measured)
}

const WARM_UP: usize = 64;

const TEXT: &str = "still open";
