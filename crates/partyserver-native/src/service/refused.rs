//! A refused socket: it is told the reason, and nothing of it reaches a room.

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use partyserver::Close;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_websockets::{Limits as FrameLimits, ServerBuilder};

use crate::limits::Limits;
use crate::listen::places::Place;
use crate::socket::frames::close_message;
use crate::socket::io::Io;
use crate::stop::Stop;

/// Sends the close frame. Then it reads and discards until the client's close frame,
/// the end of the stream, or a limit. A stopping server does not wait for it.
pub(crate) async fn refuse(
    upgrade: OnUpgrade,
    close: Close,
    limits: Limits,
    place: Place,
    stop: Stop,
) {
    let dismiss = async {
        let Ok(upgraded) = upgrade.await else { return };
        // Bytes are counted where they are read, whatever frames they form. At the
        // limit the stream ends.
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
    // Dropping the stream ends it in every case.
    tokio::select! {
        () = dismiss => {}
        () = tokio::time::sleep(limits.close_time) => {}
        () = stop.begun() => {}
    }
    drop(place);
}

const MAX_DISCARDED: u64 = 256 * 1024;
/// The close frame behind a larger message is not looked for. At most this much of a
/// message is held in memory.
const MAX_LOOKED_AT: usize = 16 * 1024;
