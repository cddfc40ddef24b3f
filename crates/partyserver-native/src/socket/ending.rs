//! How a socket ends, and what remains to be done for its client.

use std::future::poll_fn;
use std::pin::Pin;

use futures_util::Sink;
use partyserver::{CloseEvent, Error};
use tokio::io::AsyncWriteExt;
use tokio_websockets::Error as WsError;

use super::task::Socket;

/// How a socket ended.
pub(super) struct Ended {
    pub(super) event: CloseEvent,
    pub(super) error: Option<Error>,
}

/// The result of a poll that ended the socket.
pub(super) enum Outcome {
    /// The client's close frame came, and must still be answered.
    ClosedByClient(CloseEvent),
    /// The client broke the protocol or a limit. The close frame that says so must
    /// still be written.
    Broke(CloseEvent),
    Ended(Ended),
}

impl Ended {
    /// It ended by a close frame, as `event` says.
    pub(super) fn with(event: CloseEvent) -> Self {
        Self { event, error: None }
    }

    /// It ended without a close frame.
    pub(super) fn abnormal(error: Option<Error>) -> Self {
        Self {
            event: CloseEvent::abnormal(),
            error,
        }
    }

    /// Its stream failed.
    pub(super) fn broken(error: WsError) -> Self {
        Self::abnormal(Some(error.into()))
    }
}

impl Socket {
    pub(super) async fn finish(mut self, outcome: Outcome) -> Ended {
        // The connection has left the room, however long the rest takes.
        self.conn.gone();
        let turn = self.turn.take();
        // The turn goes on meanwhile, because its room must not wait for this client.
        let (ended, ()) = tokio::join!(self.end(outcome), async {
            if let Some(turn) = turn {
                turn.await;
            }
        });
        ended
    }

    /// Does the rest for the client. If the client does not let it finish, the client
    /// is dropped.
    async fn end(self, outcome: Outcome) -> Ended {
        let limit = self.limits.close_time;
        match outcome {
            Outcome::ClosedByClient(event) => {
                let _ = tokio::time::timeout(limit, self.answer_close(&event)).await;
                Ended::with(event)
            }
            Outcome::Broke(event) => {
                let told = async {
                    let mut stream = self.stream;
                    let _ = poll_fn(|cx| Pin::new(&mut stream).poll_close(cx)).await;
                    stream.into_inner().end(MAX_DISCARDED).await;
                };
                let _ = tokio::time::timeout(limit, told).await;
                Ended::with(event)
            }
            Outcome::Ended(ended) => {
                let mut stream = self.stream.into_inner();
                let _ = tokio::time::timeout(limit, stream.shutdown()).await;
                ended
            }
        }
    }

    /// Answers the client's close frame with the same code and reason.
    async fn answer_close(self, event: &CloseEvent) {
        if !self.is_flushed || event.reason.is_empty() {
            // The stream's own answer has only the code. It comes after what must still
            // be written.
            let mut stream = self.stream;
            let _ = poll_fn(|cx| Pin::new(&mut stream).poll_close(cx)).await;
            return;
        }
        // Nothing else must be written, so the answer can have the reason too.
        let mut stream = self.stream.into_inner();
        let mut frame = vec![
            0x88,
            2 + u8::try_from(event.reason.len()).unwrap_or_default(),
        ];
        frame.extend(event.code.to_be_bytes());
        frame.extend(event.reason.as_bytes());
        if stream.write_all(&frame).await.is_ok() {
            let _ = stream.shutdown().await;
        }
    }
}

/// How much is read of a message that was too large, so that its client can read why it
/// was closed.
const MAX_DISCARDED: usize = 64 * 1024 * 1024;
