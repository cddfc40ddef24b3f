//! Authenticated requests to rooms that are awake.

use super::{Size, Worker};
use crate::Result;
use crate::client::{self, Http, Target};

pub(super) struct Get {
    connection: Http,
    room: String,
}

pub(super) async fn workers(target: &Target, size: Size) -> Result<Vec<Get>> {
    let mut workers = Vec::new();
    for index in 0..size.connections {
        workers.push(Get {
            connection: Http::connect(target).await?,
            room: client::room(index, size.rooms),
        });
    }
    Ok(workers)
}

impl Worker for Get {
    async fn step(&mut self) -> Result<u64> {
        self.connection.get(&self.room).await?;
        Ok(1)
    }
}
