//! A client's TCP stream while it speaks HTTP.
//!
//! It ends in a way that lets the client receive its last answer. It is closed early if
//! the client stops reading an answer.

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
    /// Runs while the client reads nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    lingering: Option<Linger>,
}

/// Our half of the stream has ended. Bytes that the client still sends are read and
/// thrown away until its half has ended too. Otherwise closing the stream would reset
/// it, and the client could lose the answer (a 413 or 431) that it is about to read.
struct Linger {
    until: Pin<Box<Sleep>>,
    left: usize,
}

/// The place of a connection. It is kept as long as the stream is open.
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

    /// The result of a write, with a time limit.
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
                // If the client ends the stream, or it fails, it has ended.
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
        // When the server stops, it does not wait for clients.
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

/// More than a client can have on the way. A client that keeps on sending is cut off.
const MAX_DISCARDED: usize = 64 * 1024 * 1024;
