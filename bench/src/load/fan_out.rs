//! One member sends to the room; every member, the sender too, receives it.

use futures_util::future::try_join_all;

use super::{Size, Worker};
use crate::Result;
use crate::client::{Socket, Target};

pub(super) struct FanOut {
    members: Vec<Socket>,
    sent: u64,
}

/// A single worker: the next message is sent when the last member has the one before.
pub(super) async fn workers(target: &Target, size: Size) -> Result<Vec<FanOut>> {
    let members = Socket::open_many(target, size.connections, 1).await?;
    Ok(vec![FanOut { members, sent: 0 }])
}

impl Worker for FanOut {
    async fn step(&mut self) -> Result<u64> {
        // The servers that this is meant for broadcast what begins so.
        let text = format!("b:a short line of a chat, {:06}", self.sent % 1_000_000);
        self.sent += 1;
        let sender = self.members.first_mut().ok_or("a room needs a member")?;
        sender.send(&text).await?;
        let text = text.trim_start_matches("b:");
        let members = self.members.iter_mut();
        let received = try_join_all(members.map(|member| member.receive(text))).await?;
        Ok(received.len() as u64)
    }
}
