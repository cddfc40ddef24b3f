//! What a socket writes: queued messages, pings and their answers, the close frame.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use futures_util::Sink;
use partyserver::{Close, CloseEvent};
use tokio::time::Instant;
use tokio_websockets::Error as WsError;

use super::frames::close_message;
use super::task::{Phase, Socket};

impl Socket {
    /// Writes what is queued, until the client stops reading.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        wall: SystemTime,
    ) -> Result<(), WsError> {
        while self.is_open() {
            // Checked before each write, because a deadline must be seen even if the
            // client reads nothing.
            let io = self.stream.get_mut();
            let filled = self.conn.fill(&mut io.sending, wall);
            self.ends_at = filled.ends_at;
            if let Some(close) = filled.close {
                Pin::new(&mut self.stream).start_send(close_message(&close))?;
                self.close(&close);
                break;
            }
            if io.sending.is_empty() {
                break;
            }
            // The stream itself writes pings and pongs. One that was begun must be
            // complete before a message follows.
            let is_blocked = self.poll_flush(cx)?.is_pending()
                || self.stream.get_mut().poll_send(cx)?.is_pending();
            if is_blocked {
                if filled.has_ended {
                    let limit = Instant::now() + self.limits.close_time;
                    self.give_up.get_or_insert(limit);
                }
                return Ok(());
            }
        }
        // What the client does not read now waits.
        let _ = self.poll_flush(cx)?;
        Ok(())
    }

    /// Writes what was given to the stream.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WsError>> {
        if !self.is_flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_flushed = true;
            self.unsent_pongs = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn close(&mut self, close: &Close) {
        self.is_flushed = false;
        let event = CloseEvent::clean(close.code(), close.reason());
        self.phase = Phase::Closing {
            event,
            until: Instant::now() + self.limits.close_time,
        };
    }
}
