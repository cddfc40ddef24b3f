//! A message to the room and its echo. Each socket has one message on the way.

use super::{Size, Worker};
use crate::Result;
use crate::client::{Socket, Target};

pub(crate) struct Echo(Socket);

pub(crate) async fn workers(target: &Target, size: Size) -> Result<Vec<Echo>> {
    let sockets = Socket::open_many(target, size.connections, size.rooms).await?;
    Ok(sockets.into_iter().map(Echo).collect())
}

impl Worker for Echo {
    async fn step(&mut self) -> Result<u64> {
        self.0.send(TEXT).await?;
        self.0.receive(TEXT).await?;
        Ok(1)
    }
}

/// 32 bytes, like a short line in a chat.
const TEXT: &str = "a short line of a chat, 32 bytes";
