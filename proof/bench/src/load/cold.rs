//! Rooms that nobody has entered before.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Size, Worker};
use crate::Result;
use crate::client::{Http, Target};

pub(super) struct Cold {
    connection: Http,
    /// A prefix that is new: neither another worker nor an earlier run has used it.
    prefix: String,
    rooms: u64,
}

pub(super) async fn workers(target: &Target, size: Size) -> Result<Vec<Cold>> {
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let mut workers = Vec::new();
    for index in 0..size.connections {
        workers.push(Cold {
            connection: Http::connect(target).await?,
            prefix: format!("cold-{run:x}-{index}"),
            rooms: 0,
        });
    }
    Ok(workers)
}

impl Worker for Cold {
    async fn step(&mut self) -> Result<u64> {
        let room = format!("{}-{}", self.prefix, self.rooms);
        self.rooms += 1;
        self.connection.get(&room).await?;
        Ok(1)
    }
}
