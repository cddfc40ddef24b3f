//! One member sends to the room, and every member receives it, including the sender.

use futures_util::future::try_join_all;

use super::{Size, Worker};
use crate::Result;
use crate::client::{Socket, Target};

pub(crate) struct FanOut {
    members: Vec<Socket>,
    /// How many messages are sent without waiting for the one before.
    pub(crate) in_flight: u64,
    sent: u64,
}

/// A single worker. It sends the next message when the last member has received the one
/// before.
pub(crate) async fn workers(target: &Target, size: Size) -> Result<Vec<FanOut>> {
    let members = Socket::open_many(target, size.connections, 1).await?;
    Ok(vec![FanOut {
        members,
        in_flight: 1,
        sent: 0,
    }])
}

impl Worker for FanOut {
    async fn step(&mut self) -> Result<u64> {
        let texts: Vec<_> = (self.sent..self.sent + self.in_flight)
            .map(|number| format!("a short line of a chat, {:06}", number % 1_000_000))
            .collect();
        self.sent += self.in_flight;
        let sender = self.members.first_mut().ok_or("a room needs a member")?;
        for text in &texts {
            // The servers for this load broadcast every message with this prefix.
            sender.send(&format!("b:{text}")).await?;
        }
        let members = self.members.iter_mut();
        let received = members.map(async |member| {
            for text in &texts {
                member.receive(text).await?;
            }
            Result::Ok(texts.len() as u64)
        });
        Ok(try_join_all(received).await?.into_iter().sum())
    }
}
