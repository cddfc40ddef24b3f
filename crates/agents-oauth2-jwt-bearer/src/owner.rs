//! The owner of a room: who it is, and who is closed when that changes.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use partyserver::{BoxFuture, Close, Error, MaybeSend, Result, Room, StreamEnd};

use crate::identity::Identity;
use crate::log;
use crate::owner_store::{Overwrite, OwnerStore, RoomStorage};

/// The owner of a room.
pub trait RoomOwnership {
    /// Makes a user the owner, atomically and durably: of any number of
    /// simultaneous claims one wins. The same owner again is no error. When the
    /// owner changed, every connection of anyone else is closed at once with
    /// 1008, and answers that are being streamed to them end. What was begun is
    /// done to the end, even when the returned future is dropped.
    ///
    /// # Errors
    /// [`OwnerError::Empty`] and [`OwnerError::AlreadyOwned`]; then nothing
    /// changed. After [`OwnerError::Store`] the owner may have changed all the
    /// same: every connection is closed but those of the user who is known to
    /// be the owner.
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
    /// The owner is empty: nobody can be it. The caller is at fault.
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
    /// What those who do not own the room are told.
    message: Cow<'static, str>,
    seen: Mutex<Seen>,
    /// Answers that are being streamed, and to whom.
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

    /// The ownership of a room: that of its `WithOwnership`, once it started.
    pub(crate) fn of(room: &Room) -> Arc<Self> {
        let default = || Arc::new(Self::new(Arc::new(RoomStorage), NOT_YOURS.into()));
        room.locals().get().unwrap_or_else(default)
    }

    /// The owner as the store has it now. When that is news, everyone else is
    /// closed: something other than a claim may have changed it.
    pub(crate) async fn read(&self, room: &Room) -> Result<Option<String>> {
        let version = self.with(|seen| seen.version);
        let owner = self.store.owner(room).await?;
        let is_news = self.with(|seen| {
            // After a claim meanwhile, what that claim reads is what counts.
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

    /// Makes a claim, and closes everyone but the owner that it leaves the room
    /// with. Returns that owner.
    ///
    /// Once begun it runs to its end, even when the returned future is dropped
    /// because its turn is over or its client has gone: a claim that is made is
    /// always followed by its consequences.
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
        // Whoever is there drives it: the caller, or else the room.
        let work = (Box::pin(work) as BoxFuture<'static, ()>).shared();
        room.spawn(work.clone());
        work.await;
        let outcome = lock(&outcome).take();
        outcome.unwrap_or_else(|| Err(Error::msg("the claim has no outcome")))
    }

    async fn claim_now(&self, room: &Room, owner: &str, overwrite: Overwrite) -> Result<String> {
        let before = self.with(|seen| seen.owner.clone()).flatten();
        // Until the claim is answered the store alone knows.
        self.forget();
        let outcome = self.store.claim(room, owner, overwrite).await;
        self.forget();
        // Whoever is the owner by now is who may stay.
        if let Err(error) = self.read(room).await {
            log::owner_unknown(room, &error);
            let known = match &outcome {
                Ok(owner) => Some(owner.as_str()),
                // A claim that failed may have been made all the same, but
                // without overwriting it took the room from nobody.
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

    /// Ends an answer to the owner when the owner becomes another.
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

/// What is behind these locks is replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nothing equals nothing: without an owner or a subject there is no match.
pub(crate) fn is_owner(owner: Option<&str>, subject: &str) -> bool {
    !subject.is_empty() && owner == Some(subject)
}

/// The reason code of those who do not own a room.
pub(crate) const NOT_OWNER: &str = "not_owner";
/// What those who do not own a room are told by default.
pub(crate) const NOT_YOURS: &str = "This chat is not yours.";
