//! A list of sockets, and a loop that writes one frame to each.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_websockets::ServerBuilder;

use crate::Result;

/// The sockets that receive. Nobody leaves while a load runs.
type Members = Arc<Mutex<Vec<Arc<TcpStream>>>>;

pub(super) async fn run(listener: TcpListener) -> Result<()> {
    let members = Members::default();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let members = Arc::clone(&members);
        tokio::spawn(async move {
            // If a connection breaks, only its client is concerned.
            let _ = serve(Arc::new(stream), &members).await;
        });
    }
}

async fn serve(stream: Arc<TcpStream>, members: &Members) -> Result<()> {
    let own = Shared(Arc::clone(&stream));
    let (_, mut socket) = ServerBuilder::new().accept(own).await?;
    lock(members).push(stream);
    while let Some(message) = socket.next().await.transpose()? {
        let Some(text) = message.as_text() else {
            continue;
        };
        let text = text.strip_prefix("b:").unwrap_or(text);
        let frame = frame(text)?;
        for member in lock(members).iter() {
            // The loads are far below the size of a socket's buffer.
            if member.try_write(&frame)? < frame.len() {
                return Err("a member reads too slowly".into());
            }
        }
    }
    Ok(())
}

fn lock(members: &Members) -> std::sync::MutexGuard<'_, Vec<Arc<TcpStream>>> {
    members.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A text frame (RFC 6455 section 5.2) of a short text.
fn frame(text: &str) -> Result<Vec<u8>> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126);
    let mut frame = vec![0x81, length.ok_or("the text is too long")?];
    frame.extend(text.as_bytes());
    Ok(frame)
}

/// A stream that other tasks write to as well.
struct Shared(Arc<TcpStream>);

impl AsyncRead for Shared {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Shared {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
