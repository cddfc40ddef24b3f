//! The byte stream under a WebSocket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::sending::Sending;
use crate::listen::tcp::{ConnectionPlace, Tcp};

/// A stream that carried HTTP before.
pub(crate) struct Io {
    /// The bytes that HTTP had read beyond the handshake, in HTTP's own buffer. The
    /// buffer is freed at the first read and not before. So the buffer of the
    /// WebSocket, which is made meanwhile, does not reuse it but gets fresh memory, and
    /// small frames touch only the first page of that.
    unread: Bytes,
    stream: Stream,
    last_read: Instant,
    /// Messages that were begun must be completed before anything else is written.
    pub(crate) sending: Sending,
}

enum Stream {
    Tcp(
        TcpStream,
        #[expect(dead_code, reason = "kept while open")] ConnectionPlace,
    ),
    /// A stream from another server that the service is mounted in.
    Other(TokioIo<Upgraded>),
}

impl Io {
    /// Takes the plain TCP stream out of hyper, if it is one, so that hyper's own
    /// buffers are freed.
    pub(crate) fn new(upgraded: Upgraded) -> Self {
        let (unread, stream) = match upgraded.downcast::<TokioIo<Tcp>>() {
            Ok(parts) => {
                let (stream, place) = parts.io.into_inner().into_parts();
                (parts.read_buf, Stream::Tcp(stream, place))
            }
            Err(upgraded) => (Bytes::new(), Stream::Other(TokioIo::new(upgraded))),
        };
        Self {
            unread,
            stream,
            last_read: Instant::now(),
            sending: Sending::default(),
        }
    }

    /// When bytes last arrived from the client, even parts of a frame.
    pub(crate) fn last_read(&self) -> Instant {
        self.last_read
    }

    /// Writes messages, in one write. [`Io::sending`] must not be empty.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream, _) => self.sending.poll_write(Pin::new(stream), cx),
            Stream::Other(stream) => self.sending.poll_write(Pin::new(stream), cx),
        }
    }

    /// Completes the message that was begun, so that no frame of the WebSocket stream
    /// comes in the middle of it.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream, _) => self.sending.poll_finish(Pin::new(stream), cx),
            Stream::Other(stream) => self.sending.poll_finish(Pin::new(stream), cx),
        }
    }

    /// Ends our half. Then it throws away what the client still sends, up to this many
    /// bytes: closing a stream with unread bytes resets it, and the client could lose
    /// the close frame. The caller limits the time.
    pub(crate) async fn end(mut self, max_discarded: usize) {
        if self.shutdown().await.is_err() {
            return;
        }
        let mut rest = self.take(max_discarded as u64);
        // If the client ends the stream, or it fails, it has ended.
        let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let is_unread = self.unread.has_remaining();
        if is_unread {
            let count = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread.split_to(count));
        }
        if self.unread.is_empty() {
            self.unread = Bytes::new();
        }
        if is_unread {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let outcome = match &mut self.stream {
            Stream::Tcp(stream, _) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Other(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        if buffer.filled().len() > before {
            self.last_read = Instant::now();
        }
        outcome
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_finish(cx))?;
        match &mut self.stream {
            Stream::Tcp(stream, _) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Other(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_finish(cx))?;
        match &mut self.stream {
            Stream::Tcp(stream, _) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Other(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tcp(stream, _) => stream.is_write_vectored(),
            Stream::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream, _) => Pin::new(stream).poll_flush(cx),
            Stream::Other(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream, _) => Pin::new(stream).poll_shutdown(cx),
            Stream::Other(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
