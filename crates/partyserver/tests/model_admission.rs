//! Who gets in, and under which public id, compared with a model of the open
//! connections.

mod model;

use partyserver::testing::{TestRoom, TestSocket};
use partyserver::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// A client connects, with an id that it chose and as a principal. Either may be
    /// missing.
    Connect(Option<u8>, Option<u8>),
    Close(prop::sample::Index),
    Vanish(prop::sample::Index),
    Revoke(prop::sample::Index),
    Hibernate,
}

fn step() -> impl Strategy<Value = Step> {
    let connect = (prop::option::of(0..3_u8), prop::option::of(0..3_u8));
    let socket = any::<prop::sample::Index>;
    prop_oneof![
        6 => connect.prop_map(|(id, subject)| Step::Connect(id, subject)),
        1 => socket().prop_map(Step::Close),
        1 => socket().prop_map(Step::Vanish),
        1 => socket().prop_map(Step::Revoke),
        1 => Just(Step::Hibernate),
    ]
}

/// Vouches for a client as the principal that its query names.
struct Vouching;

impl Server for Vouching {
    async fn on_before_connect(&self, lobby: &Lobby, handshake: Handshake) -> Result<ConnectGate> {
        let query = handshake.uri().query().unwrap_or_default();
        let mut parameters = query.split('&');
        if let Some(subject) = parameters.find_map(|part| part.strip_prefix("sub=")) {
            lobby.attachments().insert(Principal(subject.to_owned()));
        }
        Ok(ConnectGate::Admit(handshake))
    }
}

/// One open connection.
struct Present {
    socket: TestSocket,
    id: String,
    subject: Option<u8>,
}

#[test]
fn an_id_is_one_principals_and_a_room_is_never_too_full() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.build().unwrap();
    let steps = prop::collection::vec(step(), 1..40);
    model::check(300, &steps, |steps| runtime.block_on(run(steps)));
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    const CAP: usize = 4;
    let options = PartyOptions::new().max_connections_per_room(CAP);
    let mut room = TestRoom::with_options("vouching", "a", options, || Vouching);
    let mut present: Vec<Present> = Vec::new();
    for step in steps {
        match step {
            Step::Connect(id, subject) => {
                let id = id.map(|id| format!("id-{id}"));
                let asked = id.as_ref().map_or(String::new(), |id| format!("_pk={id}"));
                let who = subject.map_or(String::new(), |subject| format!("&sub={subject}"));
                let socket = room.connect(&format!("/?{asked}{who}")).await.unwrap();
                let Some(connection) = socket.connection() else {
                    prop_assert_eq!(present.len(), CAP, "refused though there is room");
                    prop_assert_eq!(socket.closed().unwrap().code(), 1013);
                    continue;
                };
                let given = connection.id().to_owned();
                let mut holders = present
                    .iter()
                    .filter(|other| Some(&other.id) == id.as_ref());
                let may_have = holders.all(|other| subject.is_some() && other.subject == subject);
                match id.filter(|_| may_have) {
                    Some(id) => prop_assert_eq!(&given, &id),
                    None => prop_assert!(present.iter().all(|other| other.id != given)),
                }
                present.push(Present {
                    socket,
                    id: given,
                    subject,
                });
            }
            Step::Hibernate => room.hibernate(),
            _ if present.is_empty() => {}
            Step::Close(at) => {
                let left = present.remove(at.index(present.len()));
                room.close(&left.socket, 1000, "").await.unwrap();
            }
            Step::Vanish(at) => {
                let left = present.remove(at.index(present.len()));
                room.vanish(&left.socket).await.unwrap();
            }
            Step::Revoke(at) => {
                let left = present.remove(at.index(present.len()));
                let connection = left.socket.connection().unwrap();
                connection.revoke(Close::new(1008, ""));
            }
        }
        let open = room.room().connections();
        prop_assert!(open.len() <= CAP);
        let ids: Vec<_> = open.iter().map(Connection::id).collect();
        let expected: Vec<_> = present.iter().map(|present| &*present.id).collect();
        prop_assert_eq!(ids, expected, "in the order of joining");
        for (one, other) in open
            .iter()
            .flat_map(|one| open.iter().map(move |other| (one, other)))
        {
            let principal = |of: &Connection| of.attachments().get::<Principal>();
            if one != other && one.id() == other.id() {
                let shared = principal(one).is_some() && principal(one) == principal(other);
                prop_assert!(shared, "two principals share {}", one.id());
            }
        }
    }
    Ok(())
}
