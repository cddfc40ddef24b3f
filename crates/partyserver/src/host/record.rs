//! What is kept of a socket while its room sleeps, as text.
//!
//! Some hosts take rooms out of memory while their sockets stay open. Such a host
//! writes [`Sleeping`] whenever a part of it has changed
//! ([`ConnectionRecord::on_change`]). When the room wakes, the host makes the
//! connection again from that text. If the text can't be understood, there is no
//! connection, because it would have no identity.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::life::{Deadline, Life, from_millis, to_millis};
use crate::close::Close;
use crate::room::attachments::{Attachments, Lifetime};
pub use crate::room::record::ConnectionRecord;

/// A connection as it is kept while its room sleeps.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sleeping {
    #[serde(rename = "v")]
    version: u32,
    key: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    own: Option<Kept>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    identity: Option<Kept>,
    /// Absent when the record is kept elsewhere.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    record: Option<Parts>,
}

/// A deadline: milliseconds since 1970, code and reason.
type Kept = (u64, u16, String);

#[derive(Debug, Serialize, Deserialize)]
struct Parts {
    id: String,
    tags: Vec<String>,
    uri: String,
    attachments: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    state: Option<Box<RawValue>>,
}

impl Sleeping {
    /// Writes a connection.
    ///
    /// # Errors
    /// When a part can't be written as JSON.
    pub fn of(record: &ConnectionRecord, life: &Life) -> serde_json::Result<Self> {
        let attachments = record.attachments.encode(Lifetime::Connection)?;
        Ok(Self {
            version: VERSION,
            key: record.key,
            own: life.own_deadline().map(keep),
            identity: life.identity_deadline().map(keep),
            record: Some(Parts {
                id: record.id.clone(),
                tags: record.tags.clone(),
                uri: record.uri.to_string(),
                attachments: RawValue::from_string(attachments)?,
                state: record.state(),
            }),
        })
    }

    /// The text to keep.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn text(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// Takes the record out because it is too large for its place, so that the host can
    /// keep it elsewhere. The rest has a bounded size.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn take_record(&mut self) -> serde_json::Result<String> {
        serde_json::to_string(&self.record.take())
    }

    /// Reads the text that [`Sleeping::text`] wrote. `None` for any other text, and for
    /// another version.
    pub fn read(text: &str) -> Option<Self> {
        let sleeping: Self = serde_json::from_str(text).ok()?;
        (sleeping.version == VERSION).then_some(sleeping)
    }

    /// The host's own id.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// Whether the record is kept elsewhere.
    pub fn is_split(&self) -> bool {
        self.record.is_none()
    }

    /// Puts back the record that [`Sleeping::take_record`] gave. `None` for any other
    /// text.
    #[must_use]
    pub fn with_record(mut self, text: &str) -> Option<Self> {
        self.record = serde_json::from_str(text).ok()?;
        self.record.is_some().then_some(self)
    }

    /// Makes the connection again. `None` when the text can't be understood.
    pub fn wake(self, names: (Arc<str>, Arc<str>)) -> Option<(ConnectionRecord, Life)> {
        let parts = self.record?;
        let attachments = Attachments::decode(parts.attachments.get()).ok()?;
        let uri = parts.uri.parse().ok()?;
        let record = ConnectionRecord::new(self.key, parts.id, parts.tags, uri, names, attachments);
        record.restore_state(parts.state);
        let life = Life::restored(self.own.map(restore), self.identity.map(restore));
        Some((record, life))
    }
}

fn keep(deadline: &Deadline) -> Kept {
    let close = &deadline.close;
    (
        to_millis(deadline.at),
        close.code(),
        close.reason().to_owned(),
    )
}

fn restore((at, code, reason): Kept) -> Deadline {
    Deadline::new(from_millis(at), Close::new(code, reason))
}

/// The version of the text. A host that meets another version closes the socket, and
/// the client connects again.
const VERSION: u32 = 2;

#[cfg(test)]
mod tests {
    use http::Uri;

    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::room::attachments::Principal;

    fn record() -> ConnectionRecord {
        let attachments = Attachments::default();
        attachments.insert(Principal("alice".into()));
        let uri = Uri::from_static("http://test/parties/chat/a?x=1");
        let tags = vec!["me".into(), "red".into()];
        ConnectionRecord::new(7, "me".into(), tags, uri, names(), attachments)
    }

    fn names() -> (Arc<str>, Arc<str>) {
        ("chat".into(), "a".into())
    }

    fn life() -> Life {
        let mut life = Life::default();
        let now = from_millis(0);
        assert!(life.renew(from_millis(5_000), Close::new(3000, "token expired"), now));
        assert!(life.close_at(from_millis(9_000), Close::new(4000, "the end")));
        life
    }

    #[test]
    fn a_connection_wakes_as_it_fell_asleep() {
        let record = record();
        record.set_state(RawValue::from_string("{\"n\":1}".into()).unwrap());
        let text = Sleeping::of(&record, &life()).unwrap().text().unwrap();
        let (woken, life) = Sleeping::read(&text).unwrap().wake(names()).unwrap();
        assert_eq!((woken.key, &*woken.id), (7, "me"));
        assert_eq!((&woken.tags, &woken.uri), (&record.tags, &record.uri));
        assert_eq!(woken.state().unwrap().get(), "{\"n\":1}");
        assert_eq!(woken.attachments.get::<Principal>().unwrap().0, "alice");
        assert_eq!(life, self::life());
    }

    #[test]
    fn a_large_record_can_be_kept_elsewhere() {
        let mut sleeping = Sleeping::of(&record(), &life()).unwrap();
        let elsewhere = sleeping.take_record().unwrap();
        let short = sleeping.text().unwrap();
        assert!(short.len() < 200, "{short}");
        let read = Sleeping::read(&short).unwrap();
        assert!(read.is_split() && read.key() == 7);
        assert!(Sleeping::read(&short).unwrap().wake(names()).is_none());
        for broken in ["", "null", "{}", "[]"] {
            let read = Sleeping::read(&short).unwrap();
            assert!(read.with_record(broken).is_none(), "{broken}");
        }
        let whole = read.with_record(&elsewhere).unwrap();
        assert_eq!(whole.wake(names()).unwrap().0.id, "me");
    }

    #[test]
    fn what_cannot_be_understood_is_no_connection() {
        let text = Sleeping::of(&record(), &life()).unwrap().text().unwrap();
        let other = text.replace("\"v\":2", "\"v\":1");
        for text in ["", "told", "{}", "{\"key\":7}", &other] {
            assert!(Sleeping::read(text).is_none(), "{text}");
        }
        let relative = text.replace("http://test", "http://te st");
        assert!(Sleeping::read(&relative).unwrap().wake(names()).is_none());
    }

    #[test]
    fn a_change_of_any_part_is_noticed() {
        let record = record();
        let changes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&changes);
        record.on_change(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        record.set_state(RawValue::from_string("1".into()).unwrap());
        assert_eq!(changes.load(Ordering::Relaxed), 1);
        record.attachments.insert(Principal("bob".into()));
        assert_eq!(changes.load(Ordering::Relaxed), 2);
    }
}
