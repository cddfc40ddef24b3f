//! A client's TCP stream while it speaks HTTP.
//!
//! It ends so that the client still receives its last answer, and it is given
//! up when the client takes nothing of an answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

use super::places::Place;
use crate::limits::Limits;
use crate::stop::Stop;

/// A stream as it was accepted, and its limits.
pub(crate) struct Tcp {
    stream: TcpStream,
    place: ConnectionPlace,
    stop: Stop,
    limits: Limits,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    lingering: Option<Linger>,
}

/// Our half of the stream has ended. What the client still sends is read and
/// thrown away until its half has ended too: closing a stream with unread bytes
/// resets it, and the client could lose the answer (a 413 or 431) that it is
/// about to read.
struct Linger {
    until: Pin<Box<Sleep>>,
    left: usize,
}

/// The place of a connection, kept for as long as its stream is open.
pub(crate) struct ConnectionPlace {
    pub(crate) _in_all: OwnedSemaphorePermit,
    /// `None` for addresses that are not counted.
    pub(crate) _of_address: Option<Place>,
}

impl Tcp {
    pub(crate) fn new(
        stream: TcpStream,
        place: ConnectionPlace,
        stop: Stop,
        limits: Limits,
    ) -> Self {
        Self {
            stream,
            place,
            stop,
            limits,
            stalled: None,
            lingering: None,
        }
    }

    /// The stream and its place, for the protocol that comes after HTTP.
    pub(crate) fn into_parts(self) -> (TcpStream, ConnectionPlace) {
        (self.stream, self.place)
    }

    /// The outcome of a write, with its time limited.
    fn unless_stalled<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = self.limits.write_time;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Linger {
    fn poll(&mut self, cx: &mut Context<'_>, stream: &mut TcpStream) -> Poll<()> {
        let mut discarded = [0; 4096];
        while self.left > 0 {
            let mut buffer = ReadBuf::new(&mut discarded);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.left = self.left.saturating_sub(buffer.filled().len());
                }
                // The client's end, or an error, is the end.
                Poll::Ready(_) => break,
                Poll::Pending => return self.until.as_mut().poll(cx),
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.unless_stalled(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.unless_stalled(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        // A server that stops waits for nobody.
        if this.stop.has_begun() {
            return Poll::Ready(Ok(()));
        }
        let limit = this.limits.close_time;
        let linger = this.lingering.get_or_insert_with(|| Linger {
            until: Box::pin(sleep(limit)),
            left: MAX_DISCARDED,
        });
        linger.poll(cx, &mut this.stream).map(Ok)
    }
}

/// More than a client can have on its way; a client that sends on is cut off.
const MAX_DISCARDED: usize = 64 * 1024 * 1024;
