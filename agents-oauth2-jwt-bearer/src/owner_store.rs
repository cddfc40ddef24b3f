//! Where a room's owner is kept.

use std::sync::{Arc, Mutex, PoisonError};

use partyserver::{BoxFuture, Result, Room, Update};

/// Keeps the owners of rooms. The default keeps them in the room's storage
/// under `owner`; implement it to keep them elsewhere.
pub trait OwnerStore: Send + Sync + 'static {
    /// The owner of a room.
    fn owner<'a>(&'a self, room: &'a Room) -> BoxFuture<'a, Result<Option<String>>>;

    /// Makes `owner` the owner, atomically: of any number of simultaneous
    /// claims without overwriting, one wins. Returns the owner after it.
    fn claim<'a>(
        &'a self,
        room: &'a Room,
        owner: &'a str,
        overwrite: Overwrite,
    ) -> BoxFuture<'a, Result<String>>;
}

/// Whether a room that has an owner can be given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// It can't.
    No,
    /// It can: the former owner's connections are closed at once.
    Yes,
}

/// Owners in the room's own storage, as the npm package keeps them in a Durable
/// Object.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoomStorage;

impl OwnerStore for RoomStorage {
    fn owner<'a>(&'a self, room: &'a Room) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            let owner: Option<String> = room.storage().get(KEY).await?;
            Ok(owner.filter(|owner| !owner.is_empty()))
        })
    }

    fn claim<'a>(
        &'a self,
        room: &'a Room,
        owner: &'a str,
        overwrite: Overwrite,
    ) -> BoxFuture<'a, Result<String>> {
        let owner = owner.to_owned();
        let claim = move |present: Option<String>| match present {
            Some(present) if present == owner => (Update::Keep, present),
            Some(present) if overwrite == Overwrite::No && !present.is_empty() => {
                (Update::Keep, present)
            }
            _ => (Update::Put(owner.clone()), owner),
        };
        Box::pin(async move { Ok(room.storage().update(KEY, claim).await?) })
    }
}

const KEY: &str = "owner";

/// A room's owner store, and the owner as it was last read.
pub(crate) struct Ownership {
    store: Arc<dyn OwnerStore>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Counts changes, so that a slow read never hides a later change.
    version: u64,
    owner: Option<Option<String>>,
}

impl Ownership {
    pub(crate) fn new(store: Arc<dyn OwnerStore>) -> Self {
        Self {
            store,
            seen: Mutex::default(),
        }
    }

    /// The ownership of a room: that of its `WithOwnership`, once it started.
    pub(crate) fn of(room: &Room) -> Arc<Self> {
        room.locals()
            .get()
            .unwrap_or_else(|| Arc::new(Self::new(Arc::new(RoomStorage))))
    }

    /// The owner as the store has it now.
    pub(crate) async fn read(&self, room: &Room) -> Result<Option<String>> {
        let version = self.with(|seen| seen.version);
        let owner = self.store.owner(room).await?;
        self.with(|seen| {
            if seen.version == version {
                seen.owner = Some(owner.clone());
            }
        });
        Ok(owner)
    }

    /// The owner as it was last read or changed in this process.
    pub(crate) async fn last_seen(&self, room: &Room) -> Result<Option<String>> {
        match self.with(|seen| seen.owner.clone()) {
            Some(owner) => Ok(owner),
            None => self.read(room).await,
        }
    }

    pub(crate) async fn claim(
        &self,
        room: &Room,
        owner: &str,
        overwrite: Overwrite,
    ) -> Result<String> {
        let owner = self.store.claim(room, owner, overwrite).await;
        self.with(|seen| {
            seen.version += 1;
            seen.owner = None;
        });
        owner
    }

    fn with<R>(&self, body: impl FnOnce(&mut Seen) -> R) -> R {
        body(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
