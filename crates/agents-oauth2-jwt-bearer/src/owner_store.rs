//! Where a room's owner is kept.

use partyserver::{BoxFuture, Result, Room, Update};

/// Keeps the owners of rooms. The default keeps them in the room's storage
/// under `owner`; implement it to keep them elsewhere.
///
/// The store is asked at each request and upgrade, and when a room wakes. If an owner
/// was changed in the store itself, not by
/// [`RoomOwnership::set_owner`](crate::RoomOwnership::set_owner), that is noticed then,
/// and everyone else is closed. Until then the former owner's connections stay open.
/// Call `set_owner` with the new owner if they must be closed at once.
pub trait OwnerStore: Send + Sync + 'static {
    /// The owner of a room.
    fn owner<'a>(&'a self, room: &'a Room) -> BoxFuture<'a, Result<Option<String>>>;

    /// Makes `owner` the owner, atomically: if several claims without overwriting come
    /// at the same time, one wins. Returns the owner after the claim.
    fn claim<'a>(
        &'a self,
        room: &'a Room,
        owner: &'a str,
        overwrite: Overwrite,
    ) -> BoxFuture<'a, Result<String>>;
}

/// Whether a room that has an owner can be given to another user.
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
