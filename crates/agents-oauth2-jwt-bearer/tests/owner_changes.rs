//! When a room may have changed hands, no one stays connected who may not own it.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agents_oauth2_jwt_bearer::{
    AuthOptions, BearerAuth, Claim, Overwrite, OwnerError, OwnerStore, RoomOwnership, WithAuth,
    WithOwnership,
};
use futures_util::FutureExt;
use local_issuer::LocalIssuer;
use partyserver::testing::{TestRoom, TestSocket};
use partyserver::{
    BoxFuture, Close, Context, Error, PartyOptions, Request, Response, Result, Room, Server,
};
use partyserver_native::Parties;
use support::TestServer;
use tokio::sync::Semaphore;

/// Gives the room to bob at each request.
struct Generous;
impl Server for Generous {
    async fn on_request(&mut self, cx: &Context, _: Request) -> Result<Response> {
        cx.room().set_owner("bob", Overwrite::Yes).await?;
        Ok(Response::default())
    }
}

type Owned = WithAuth<WithOwnership<Generous>>;

fn generous(options: &AuthOptions, owners: &Elsewhere) -> Owned {
    let owned = WithOwnership::new(Generous)
        .claim(Claim::FirstUser)
        .store(Arc::new(owners.clone()));
    WithAuth::new(owned, options.clone())
}

/// A store of owners outside of the room. It fails on demand.
#[derive(Clone, Default)]
struct Elsewhere(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    owner: Option<String>,
    read: Outcome,
    claim: Outcome,
    /// Delays the answer to a claim that was made.
    answers: Option<Arc<Semaphore>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Outcome {
    #[default]
    Works,
    Fails,
    /// The claim is made, but its answer is lost.
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
            let (outcome, owner, answers) = {
                let mut state = self.0.lock().unwrap();
                if state.claim == Outcome::Fails {
                    return Err(Error::msg("no answer"));
                }
                if state.owner.is_none() || overwrite == Overwrite::Yes {
                    state.owner = Some(owner.to_owned());
                }
                (state.claim, state.owner.clone(), state.answers.clone())
            };
            if let Some(answers) = answers {
                answers.acquire().await?.forget();
            }
            if outcome == Outcome::FailsAfterwards {
                return Err(Error::msg("no answer"));
            }
            Ok(owner.unwrap())
        })
    }
}

/// Alice's room, and her socket in it.
struct Stage {
    store: Elsewhere,
    room: TestRoom,
    alice: TestSocket,
    issuer: LocalIssuer,
}

impl Stage {
    async fn new() -> Self {
        let issuer = LocalIssuer::builder().start().await.unwrap();
        let options = BearerAuth::builder().issuer(issuer.url()).audience("api");
        let options = AuthOptions::new(options.leeway(Duration::ZERO).build().unwrap());
        let store = Elsewhere::default();
        let owners = store.clone();
        let mut room = TestRoom::new("owned", "a", move || generous(&options, &owners));
        let alice = room.connect(&path(&issuer, "alice")).await.unwrap();
        assert_eq!(alice.closed(), None);
        Self {
            store,
            room,
            alice,
            issuer,
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
        // The caller does not know whether the claim was made; the store does.
        ("bob", Yes, FailsAfterwards, Works, false),
        ("bob", Yes, Fails, Works, true),
        // Neither is known: whether the claim was made, nor the owner.
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

#[tokio::test]
async fn a_caller_that_goes_does_not_keep_the_former_owner_in() {
    let mut stage = Stage::new().await;
    let answers = Arc::new(Semaphore::new(0));
    stage
        .store
        .set(|state| state.answers = Some(Arc::clone(&answers)));
    let handle = stage.room.room();
    {
        let gift = handle.set_owner("bob", Overwrite::Yes);
        assert!(gift.now_or_never().is_none(), "the claim is under way");
    }
    answers.add_permits(1);
    stage.room.advance(Duration::ZERO).await.unwrap();
    assert_eq!(stage.alice.closed(), not_yours());
}

#[tokio::test]
async fn an_owner_that_was_changed_in_the_store_is_noticed() {
    for owner in [None, Some("bob")] {
        for visitor in ["alice", "bob", "carol"] {
            let mut stage = Stage::new().await;
            stage
                .store
                .set(|state| state.owner = owner.map(str::to_owned));
            let path = path(&stage.issuer, visitor);
            let socket = stage.room.connect(&path).await.unwrap();
            // Without an owner the room is nobody's, and the next visitor can become
            // its owner.
            assert_eq!(stage.alice.closed(), not_yours(), "{visitor} came");
            let is_open = owner.is_none_or(|owner| owner == visitor);
            let expected = if is_open { None } else { not_yours() };
            assert_eq!(socket.closed(), expected, "{visitor}");
        }
    }
}

#[tokio::test]
async fn an_owner_that_changed_while_the_room_slept_is_noticed() {
    let mut stage = Stage::new().await;
    stage.room.hibernate();
    stage.store.set(|state| state.owner = Some("bob".into()));
    stage.room.room().post(&"wake up").unwrap();
    stage.room.advance(Duration::ZERO).await.unwrap();
    assert_eq!(stage.alice.closed(), not_yours());
}

#[tokio::test]
async fn a_turn_that_runs_out_does_not_keep_the_former_owner_in() {
    let store = Elsewhere::default();
    let owners = store.clone();
    let server = TestServer::start(move |options| {
        let short = PartyOptions::new().turn_limit(Duration::from_millis(200));
        Parties::new().party_with("owned", short, move || generous(&options, &owners))
    })
    .await;
    let token = server.issuer.token().sign();
    let mut alice = server.open("/parties/owned/a", Some(&token)).await;
    let answers = Arc::new(Semaphore::new(0));
    store.set(|state| state.answers = Some(Arc::clone(&answers)));
    // The turn is over before the claim is answered.
    assert_eq!(server.get("/parties/owned/a", Some(&token)).await, 500);
    answers.add_permits(1);
    let closed = tokio::time::timeout(Duration::from_secs(5), support::closed(&mut alice)).await;
    let not_yours = (1008, "This chat is not yours.".to_owned());
    assert_eq!(closed.expect("in time"), not_yours);
}
