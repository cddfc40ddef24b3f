//! What a socket reads: messages for its room, pings, the client's close frame.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use futures_util::{Sink, Stream};
use partyserver::host::closing::broken_rule;
use partyserver::{Close, CloseEvent};
use tokio_websockets::Error as WsError;
use tokio_websockets::proto::ProtocolError;

use super::ending::{Ended, Outcome};
use super::frames::{close_event, close_message, from_wire};
use super::task::{Phase, Socket};

impl Socket {
    /// Reads one frame. A message begins a turn, unless the connection has ended.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        wall: SystemTime,
    ) -> Poll<Option<Outcome>> {
        let polled = Pin::new(&mut self.stream).poll_next(cx);
        let last_read = self.stream.get_ref().last_read();
        if polled.is_ready() {
            (self.last_frame, self.frame_since) = (last_read, None);
        } else if last_read > self.last_frame {
            self.frame_since.get_or_insert(last_read);
        }
        let message = match ready!(polled) {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Poll::Ready(Some(self.failed(error))),
            None => {
                let ended = match &self.phase {
                    Phase::Closing { event, .. } => Ended::with(event.clone()),
                    Phase::Open => Ended::abnormal(None),
                };
                return Poll::Ready(Some(Outcome::Ended(ended)));
            }
        };
        if message.is_close() {
            let outcome = match &self.phase {
                Phase::Closing { event, .. } => Outcome::Ended(Ended::with(event.clone())),
                Phase::Open => Outcome::ClosedByClient(close_event(&message)),
            };
            return Poll::Ready(Some(outcome));
        }
        if message.is_ping() {
            // The stream has queued the pong. Without a limit it would queue any number
            // of pongs for a client that sends pings and reads nothing.
            self.is_flushed = false;
            self.unsent_pongs += 1;
            if self.unsent_pongs > MAX_UNSENT_PONGS {
                self.conn.close_slow();
            }
        }
        if self.is_open()
            && let Some(message) = from_wire(message)
            && self.conn.is_open(wall)
        {
            self.turn = Some(Arc::clone(&self.room).message(Arc::clone(&self.conn), message));
        }
        Poll::Ready(None)
    }

    /// The client broke the protocol or a limit. The stream has queued a close frame
    /// that says so.
    fn failed(&mut self, error: WsError) -> Outcome {
        if let Phase::Closing { event, .. } = &self.phase {
            // The connection had ended before, so the room is told of that end.
            return Outcome::Ended(Ended::with(event.clone()));
        }
        let code = match &error {
            WsError::PayloadTooLong { .. } => Close::TOO_LARGE,
            WsError::Protocol(ProtocolError::InvalidUtf8) => 1007,
            WsError::Protocol(_) => 1002,
            _ => return Outcome::Ended(Ended::broken(error)),
        };
        // The stream has queued its own close frame, except when fragments are too large
        // together. In that case this frame is sent; otherwise the stream refuses it.
        let close = close_message(&broken_rule(code));
        let _ = Pin::new(&mut self.stream).start_send(close);
        self.is_flushed = false;
        Outcome::Broke(CloseEvent::clean(code, ""))
    }
}

const MAX_UNSENT_PONGS: u32 = 128;
