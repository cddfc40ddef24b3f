//! Authenticated sockets.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_websockets::{ClientBuilder, MaybeTlsStream, Message, WebSocketStream};

use super::Target;
use crate::Result;

/// A socket of a room.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn open(target: &Target, room: &str) -> Result<Self> {
        let uri = target.socket_uri(room)?;
        let (stream, _) = ClientBuilder::from_uri(uri).connect().await?;
        Ok(Self(stream))
    }

    /// Opens `count` sockets, spread evenly over `rooms`.
    pub(crate) async fn open_many(
        target: &Target,
        count: usize,
        rooms: usize,
    ) -> Result<Vec<Self>> {
        stream::iter(0..count)
            .map(async |index| Self::open(target, &super::room(index, rooms)).await)
            .buffer_unordered(HANDSHAKES)
            .try_collect()
            .await
    }

    /// Closes it, and waits for the server's close frame.
    pub(crate) async fn close(mut self) -> Result<()> {
        self.0.close().await?;
        Ok(())
    }

    /// Waits for the close frame of a server that admits nobody.
    pub(crate) async fn refused(mut self) -> Result<()> {
        match self.0.next().await.transpose()? {
            Some(message) if message.is_close() => self.close().await,
            _ => Err("the socket was not refused".into()),
        }
    }

    pub(crate) async fn send(&mut self, text: &str) -> Result<()> {
        Ok(self.0.send(Message::text(text.to_owned())).await?)
    }

    /// Waits for a message that contains this text. Servers may wrap what they echo,
    /// and may greet, so other messages are skipped.
    pub(crate) async fn receive(&mut self, text: &str) -> Result<()> {
        timeout(PATIENCE, async {
            while let Some(message) = self.0.next().await.transpose()? {
                if let Some((code, reason)) = message.as_close() {
                    return Err(format!("closed with {}: {reason}", u16::from(code)).into());
                }
                if message.as_text().is_some_and(|got| got.contains(text)) {
                    return Ok(());
                }
            }
            Err("the server has gone".into())
        })
        .await
        .map_err(|_| format!("no message within {PATIENCE:?}"))?
    }
}

/// How many handshakes run at once.
const HANDSHAKES: usize = 32;

/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(10);
