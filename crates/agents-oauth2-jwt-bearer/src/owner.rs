//! The owner of a room: who owns it, and whose connections are closed when that
//! changes.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use partyserver::{BoxFuture, Close, Error, MaybeSend, Result, Room, StreamEnd};

use crate::identity::Identity;
use crate::log;
use crate::owner_store::{Overwrite, OwnerStore, RoomStorage};

/// The owner of a room.
pub trait RoomOwnership {
    /// Makes a user the owner, atomically and durably: if several users claim the room
    /// at the same time, one wins. Setting the present owner again is no error. When
    /// the owner changes, every connection of anyone else is closed at once with 1008,
    /// and answers that are being streamed to them end. A change that has begun is
    /// completed, even when the returned future is dropped.
    ///
    /// # Errors
    /// [`OwnerError::Empty`] and [`OwnerError::AlreadyOwned`]; then nothing changed.
    /// After [`OwnerError::Store`] the owner may have changed. In that case every
    /// connection is closed, except those of the user who is known to be the owner.
    fn set_owner(
        &self,
        owner: &str,
        overwrite: Overwrite,
    ) -> impl Future<Output = Result<(), OwnerError>> + MaybeSend;

    /// The owner: a `sub`.
    ///
    /// # Errors
    /// When the owner store can't be read.
    fn owner(&self) -> impl Future<Output = Result<Option<String>>> + MaybeSend;
}

/// Why a room's owner was not set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnerError {
    /// The owner is an empty text, which no user has. The caller is at fault.
    #[error("an owner can't be empty")]
    Empty,
    /// The room belongs to another user.
    #[error("the room has another owner")]
    AlreadyOwned,
    /// The owner store failed.
    #[error("the owner store failed: {0}")]
    Store(Error),
}

impl RoomOwnership for Room {
    async fn set_owner(&self, owner: &str, overwrite: Overwrite) -> Result<(), OwnerError> {
        if owner.is_empty() {
            return Err(OwnerError::Empty);
        }
        let outcome = Ownership::of(self).claim(self, owner, overwrite).await;
        if outcome.map_err(OwnerError::Store)? != owner {
            return Err(OwnerError::AlreadyOwned);
        }
        Ok(())
    }

    async fn owner(&self) -> Result<Option<String>> {
        Ownership::of(self).store.owner(self).await
    }
}

/// A room's owner store, and the owner as it was last read.
pub(crate) struct Ownership {
    store: Arc<dyn OwnerStore>,
    /// The message for callers who do not own the room.
    message: Cow<'static, str>,
    seen: Mutex<Seen>,
    /// Answers that are being streamed, and the subject each goes to.
    streams: Mutex<Vec<(String, StreamEnd)>>,
}

#[derive(Default)]
struct Seen {
    /// Counts changes, so that a slow read never hides a later change.
    version: u64,
    owner: Option<Option<String>>,
}

impl Ownership {
    pub(crate) fn new(store: Arc<dyn OwnerStore>, message: Cow<'static, str>) -> Self {
        Self {
            store,
            message,
            seen: Mutex::default(),
            streams: Mutex::default(),
        }
    }

    /// The ownership of a room, which its `WithOwnership` sets when it starts.
    pub(crate) fn of(room: &Room) -> Arc<Self> {
        let default = || Arc::new(Self::new(Arc::new(RoomStorage), NOT_YOURS.into()));
        room.locals().get().unwrap_or_else(default)
    }

    /// The owner that the store has now. If it differs from the owner seen before,
    /// everyone else is closed, because something other than a claim may have changed
    /// it.
    pub(crate) async fn read(&self, room: &Room) -> Result<Option<String>> {
        let version = self.with(|seen| seen.version);
        let owner = self.store.owner(room).await?;
        let is_news = self.with(|seen| {
            // If there was a claim meanwhile, the read that follows that claim decides.
            seen.version == version && seen.owner.replace(owner.clone()).as_ref() != Some(&owner)
        });
        if is_news {
            self.close_all_but(room, owner.as_deref());
        }
        Ok(owner)
    }

    /// The owner as it was last read or changed in this process.
    pub(crate) async fn last_seen(&self, room: &Room) -> Result<Option<String>> {
        match self.with(|seen| seen.owner.clone()) {
            Some(owner) => Ok(owner),
            None => self.read(room).await,
        }
    }

    /// Makes a claim, and then closes everyone but the owner that the room has after
    /// it. Returns that owner.
    ///
    /// Once begun it runs to its end, even when the returned future is dropped because
    /// its turn is over or its client has gone. So a claim that was made is always
    /// followed by its consequences.
    pub(crate) async fn claim(
        self: &Arc<Self>,
        room: &Room,
        owner: &str,
        overwrite: Overwrite,
    ) -> Result<String> {
        let outcome = Arc::new(Mutex::new(None));
        let work = {
            let (this, outcome) = (Arc::clone(self), Arc::clone(&outcome));
            let (room, owner) = (room.clone(), owner.to_owned());
            async move {
                let done = this.claim_now(&room, &owner, overwrite).await;
                *lock(&outcome) = Some(done);
            }
        };
        // The caller polls the work, and if the caller goes away, the room does.
        let work = (Box::pin(work) as BoxFuture<'static, ()>).shared();
        room.spawn(work.clone());
        work.await;
        let outcome = lock(&outcome).take();
        outcome.unwrap_or_else(|| Err(Error::msg("the claim has no outcome")))
    }

    async fn claim_now(&self, room: &Room, owner: &str, overwrite: Overwrite) -> Result<String> {
        let before = self.with(|seen| seen.owner.clone()).flatten();
        // Until the claim is answered, only the store knows the owner.
        self.forget();
        let outcome = self.store.claim(room, owner, overwrite).await;
        self.forget();
        // Only the present owner may stay.
        if let Err(error) = self.read(room).await {
            log::owner_unknown(room, &error);
            let known = match &outcome {
                Ok(owner) => Some(owner.as_str()),
                // A claim that failed may have been made nevertheless. But without
                // overwriting it can't have taken the room from anybody.
                Err(_) => before
                    .as_deref()
                    .filter(|before| overwrite == Overwrite::No || *before == owner),
            };
            self.close_all_but(room, known);
        }
        outcome
    }

    fn forget(&self) {
        self.with(|seen| {
            seen.version += 1;
            seen.owner = None;
        });
    }

    /// Ends an answer to the owner when the room gets another owner.
    pub(crate) fn watch(&self, subject: &str, end: StreamEnd) {
        let mut streams = lock(&self.streams);
        streams.retain(|(_, end)| end.is_shared());
        streams.push((subject.to_owned(), end));
    }

    fn close_all_but(&self, room: &Room, owner: Option<&str>) {
        for (subject, end) in &*lock(&self.streams) {
            if !is_owner(owner, subject) {
                end.now();
            }
        }
        for connection in room.connections() {
            let identity = connection.attachments().get::<Identity>();
            let subject = identity
                .as_ref()
                .map_or("", |identity| identity.claims().subject());
            if !is_owner(owner, subject) {
                log::sent_away(&connection, NOT_OWNER);
                connection.revoke(Close::new(Close::POLICY, self.message.clone()));
            }
        }
    }

    fn with<R>(&self, body: impl FnOnce(&mut Seen) -> R) -> R {
        body(&mut lock(&self.seen))
    }
}

/// The values behind these locks are replaced whole, so a poisoned lock is harmless.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An empty value matches nothing: without an owner or a subject there is no match.
pub(crate) fn is_owner(owner: Option<&str>, subject: &str) -> bool {
    !subject.is_empty() && owner == Some(subject)
}

/// The reason code for callers who do not own a room.
pub(crate) const NOT_OWNER: &str = "not_owner";
/// The default message for callers who do not own a room.
pub(crate) const NOT_YOURS: &str = "This chat is not yours.";
