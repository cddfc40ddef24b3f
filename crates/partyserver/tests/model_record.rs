//! What is kept of a sleeping connection: any connection comes back, and no text breaks
//! a host.

mod model;

use std::sync::Arc;
use std::time::SystemTime;

use partyserver::host::life::{Life, Rest, from_millis};
use partyserver::host::record::{ConnectionRecord, Sleeping};
use partyserver::host::{ConnectionPort, record};
use partyserver::{Attachments, Close, Connection, Message, Principal, SendError};
use proptest::prelude::*;
use serde_json::Value;

/// The parts of a connection.
#[derive(Clone, Debug)]
struct Made {
    key: u64,
    id: String,
    tags: Vec<String>,
    query: String,
    principal: Option<String>,
    state: Option<Vec<String>>,
    own: Option<(u64, u16, String)>,
    identity: Option<(u64, u16, String)>,
}

fn made() -> impl Strategy<Value = Made> {
    let text = || any::<String>();
    let deadline = || prop::option::of((any::<u64>(), 4000..5000_u16, text()));
    let who = (any::<u64>(), text(), prop::collection::vec(text(), 0..10));
    let query = "[a-zA-Z0-9%&=._~-]{0,40}";
    let held = (
        prop::option::of(text()),
        prop::option::of(prop::collection::vec(text(), 0..4)),
    );
    (who, query, held, deadline(), deadline()).prop_map(
        |((key, id, tags), query, (principal, state), own, identity)| Made {
            key,
            id,
            tags,
            query,
            principal,
            state,
            own,
            identity,
        },
    )
}

impl Made {
    fn build(&self) -> (Arc<Port>, Life) {
        let attachments = Attachments::default();
        if let Some(principal) = &self.principal {
            attachments.insert(Principal(principal.clone()));
        }
        let uri = format!("http://test/parties/chat/a?{}", self.query);
        let record = ConnectionRecord::new(
            self.key,
            self.id.clone(),
            self.tags.clone(),
            uri.parse().unwrap(),
            names(),
            attachments,
        );
        let port = Arc::new(Port(record));
        if let Some(state) = &self.state {
            Connection::from_port(port.clone())
                .set_state(state)
                .unwrap();
        }
        let mut life = Life::default();
        if let Some((until, code, reason)) = &self.identity {
            let close = Close::new(*code, reason.clone());
            assert!(life.renew(from_millis(*until), close, SystemTime::UNIX_EPOCH));
        }
        if let Some((at, code, reason)) = &self.own {
            assert!(life.close_at(from_millis(*at), Close::new(*code, reason.clone())));
        }
        (port, life)
    }
}

fn names() -> (Arc<str>, Arc<str>) {
    ("chat".into(), "a".into())
}

/// A port with a record and nothing else; it sends nothing.
struct Port(ConnectionRecord);

impl ConnectionPort for Port {
    fn record(&self) -> &record::ConnectionRecord {
        &self.0
    }
    fn is_open(&self) -> bool {
        false
    }
    fn send(&self, _: &Message) -> Result<(), SendError> {
        Err(SendError)
    }
    fn close(&self, _: Close, _: Rest) {}
    fn close_at(&self, _: SystemTime, _: Close) {}
    fn renew(&self, _: SystemTime, _: Close) -> bool {
        false
    }
}

#[test]
fn any_connection_wakes_as_it_fell_asleep() {
    model::check(600, &(made(), any::<bool>()), |(made, is_split)| {
        let (port, life) = made.build();
        let mut sleeping = Sleeping::of(&port.0, &life).unwrap();
        let elsewhere = is_split.then(|| sleeping.take_record().unwrap());
        let mut read = Sleeping::read(&sleeping.text().unwrap()).unwrap();
        prop_assert_eq!((read.key(), read.is_split()), (made.key, is_split));
        if let Some(elsewhere) = elsewhere {
            read = read.with_record(&elsewhere).unwrap();
        }
        let (woken, woken_life) = read.wake(names()).unwrap();
        prop_assert_eq!(&woken_life, &life);
        prop_assert_eq!(
            (woken.key, &woken.id, &woken.tags),
            (made.key, &made.id, &made.tags)
        );
        prop_assert_eq!(&woken.uri, &port.0.uri);
        let principal = woken.attachments.get::<Principal>();
        prop_assert_eq!(principal.map(|held| held.0.clone()), made.principal);
        let state: Option<Vec<String>> = Connection::from_port(Arc::new(Port(woken))).state();
        prop_assert_eq!(state, made.state);
        Ok(())
    });
}

/// A change to a text: a part is missing, doubled, or something else.
#[derive(Clone, Debug)]
enum Harm {
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, String),
    Replace(prop::sample::Index, char),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Harm::Cut),
        (any::<prop::sample::Index>(), 1..20_usize).prop_map(|(at, len)| Harm::Remove(at, len)),
        (any::<prop::sample::Index>(), "[\\[\\]{}\",:0-9a-z]{1,8}")
            .prop_map(|(at, text)| Harm::Insert(at, text)),
        (any::<prop::sample::Index>(), any::<char>()).prop_map(|(at, c)| Harm::Replace(at, c)),
    ]
}

fn harmed(text: &str, harm: &Harm) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    match harm {
        Harm::Cut(at) => chars.truncate(at.index(chars.len())),
        Harm::Remove(at, length) => {
            let at = at.index(chars.len());
            chars.drain(at..(at + length).min(text.chars().count()));
        }
        Harm::Insert(at, text) => {
            let at = at.index(chars.len());
            chars.splice(at..at, text.chars());
        }
        Harm::Replace(at, c) => {
            let at = at.index(chars.len());
            chars[at] = *c;
        }
    }
    chars.into_iter().collect()
}

/// A text that was cut off is no connection. Any other changed text is either no
/// connection or one that a host could have written. In that case, writing and reading
/// it again gives the same.
#[test]
fn a_harmed_text_is_no_connection_or_a_whole_one() {
    model::check(3000, &(made(), harm()), |(made, harm)| {
        let (port, life) = made.build();
        let text = Sleeping::of(&port.0, &life).unwrap().text().unwrap();
        let harmed = harmed(&text, &harm);
        let woken = Sleeping::read(&harmed).and_then(|sleeping| sleeping.wake(names()));
        if matches!(harm, Harm::Cut(_)) {
            prop_assert!(woken.is_none(), "{}", harmed);
        }
        if let Some((record, life)) = woken {
            let again = Sleeping::of(&record, &life).unwrap().text().unwrap();
            let (other, other_life) = Sleeping::read(&again).unwrap().wake(names()).unwrap();
            prop_assert_eq!((&record.id, &record.tags), (&other.id, &other.tags));
            prop_assert_eq!(life, other_life);
        }
        Ok(())
    });
}

#[test]
fn any_other_text_is_no_connection() {
    model::check(2000, &any::<String>(), |text| {
        prop_assert!(Sleeping::read(&text).is_none());
        let value = serde_json::to_string(&Value::String(text.clone())).unwrap();
        prop_assert!(Sleeping::read(&value).is_none());
        let (port, life) = nobody().build();
        let mut sleeping = Sleeping::of(&port.0, &life).unwrap();
        sleeping.take_record().unwrap();
        prop_assert!(sleeping.with_record(&text).is_none());
        Ok(())
    });
}

fn nobody() -> Made {
    Made {
        key: 0,
        id: "a".into(),
        tags: Vec::new(),
        query: String::new(),
        principal: None,
        state: None,
        own: None,
        identity: None,
    }
}
