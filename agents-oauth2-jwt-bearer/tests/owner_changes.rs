//! A room that may have changed hands keeps nobody who may not own it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agents_oauth2_jwt_bearer::{
    AuthHooks, AuthOptions, Claim, Overwrite, OwnerError, OwnerStore, OwnershipHooks,
    OwnershipOptions, RoomOwnership, WithAuth, WithOwnership,
};
use local_issuer::LocalIssuer;
use partyserver::testing::{TestRoom, TestSocket};
use partyserver::{BoxFuture, Close, Error, Result, Room, Server};

struct Quiet;
impl Server for Quiet {}
impl AuthHooks for Quiet {}
impl OwnershipHooks for Quiet {}

type Owned = WithAuth<WithOwnership<Quiet>>;

/// Owners outside of the room, with failures on demand.
#[derive(Clone, Default)]
struct Elsewhere(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    owner: Option<String>,
    read: Outcome,
    claim: Outcome,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Outcome {
    #[default]
    Works,
    Fails,
    /// It is done, and its answer is lost.
    FailsAfterwards,
}

impl Elsewhere {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }
}

impl OwnerStore for Elsewhere {
    fn owner<'a>(&'a self, _: &'a Room) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            let state = self.0.lock().unwrap();
            match state.read {
                Outcome::Works => Ok(state.owner.clone()),
                _ => Err(Error::msg("no answer")),
            }
        })
    }

    fn claim<'a>(
        &'a self,
        _: &'a Room,
        owner: &'a str,
        overwrite: Overwrite,
    ) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let mut state = self.0.lock().unwrap();
            if state.claim == Outcome::Fails {
                return Err(Error::msg("no answer"));
            }
            if state.owner.is_none() || overwrite == Overwrite::Yes {
                state.owner = Some(owner.to_owned());
            }
            if state.claim == Outcome::FailsAfterwards {
                return Err(Error::msg("no answer"));
            }
            Ok(state.owner.clone().unwrap())
        })
    }
}

/// Alice's room, and her socket in it.
struct Stage {
    store: Elsewhere,
    room: TestRoom<Owned>,
    alice: TestSocket,
    _issuer: LocalIssuer,
}

impl Stage {
    async fn new() -> Self {
        let issuer = LocalIssuer::builder().start().await.unwrap();
        let options = AuthOptions::builder().issuer(issuer.url()).audience("api");
        let options = options.leeway(Duration::ZERO).build().unwrap();
        let store = Elsewhere::default();
        let owners = store.clone();
        let mut room = TestRoom::new("owned", "a", move || {
            let ownership = OwnershipOptions::default()
                .claim(Claim::FirstUser)
                .store(owners.clone());
            let owned = WithOwnership::with_options(Quiet, ownership);
            WithAuth::new(owned, options.clone())
        });
        let alice = room.connect(&path(&issuer, "alice")).await.unwrap();
        assert_eq!(alice.closed(), None);
        Self {
            store,
            room,
            alice,
            _issuer: issuer,
        }
    }
}

fn path(issuer: &LocalIssuer, user: &str) -> String {
    let token = issuer.token().subject(user).sign();
    format!("/parties/owned/a?access_token={token}")
}

fn not_yours() -> Option<Close> {
    Some(Close::new(1008, "This chat is not yours."))
}

#[tokio::test]
async fn a_store_that_fails_leaves_nobody_who_may_not_be_the_owner() {
    use Outcome::{Fails, FailsAfterwards, Works};
    use Overwrite::{No, Yes};
    for (owner, overwrite, claim, read, stays) in [
        // The claim was made, and the owner can't be read after it.
        ("bob", Yes, Works, Fails, false),
        ("bob", No, Works, Fails, true),
        ("alice", Yes, Works, Fails, true),
        // It is not known whether the claim was made; the store says.
        ("bob", Yes, FailsAfterwards, Works, false),
        ("bob", Yes, Fails, Works, true),
        // Nothing is known.
        ("bob", Yes, FailsAfterwards, Fails, false),
        ("bob", Yes, Fails, Fails, false),
        ("bob", No, Fails, Fails, true),
        ("alice", Yes, Fails, Fails, true),
    ] {
        let stage = Stage::new().await;
        stage.store.set(|state| {
            state.claim = claim;
            state.read = read;
        });
        let outcome = stage.room.room().set_owner(owner, overwrite).await;
        match outcome {
            Ok(()) => assert!(claim == Works),
            Err(OwnerError::AlreadyOwned) => assert!(claim == Works && overwrite == No),
            Err(error) => assert!(claim != Works, "{error}"),
        }
        let closed = stage.alice.closed();
        let expected = if stays { None } else { not_yours() };
        assert_eq!(closed, expected, "{owner} {overwrite:?}");
    }
}
