//! Typed values that travel with a request or a connection.
//!
//! The router's hooks attach them, the room reads them. They are how a wrapper
//! such as `WithAuth` gives a socket an identity that no client can supply:
//! bound to the socket itself, not to an id.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A type whose value can be attached to a request or connection.
///
/// The value may have to cross to another process where the room runs, so it can be
/// written and read, even if a host never needs that. A type that proves or hides
/// something does not need `Serialize`: only [`Attachments`] can call these methods.
pub trait Attachment: Sized + Send + Sync + 'static {
    /// The name that the value is kept under; one per type. Prefix it with the
    /// name of your crate.
    const NAME: &'static str;
    /// How long the value lives.
    const LIFETIME: Lifetime;

    /// Writes the value; often `encoder.write(self)`.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    fn encode(&self, encoder: Encoder) -> serde_json::Result<Encoded>;

    /// Reads what [`Attachment::encode`] wrote; often `decoder.read()`.
    ///
    /// # Errors
    /// When it can't be understood. Then the value is not there.
    fn decode(decoder: Decoder<'_>) -> serde_json::Result<Self>;
}

/// Writes an attachment as JSON. Made by [`Attachments`] alone.
#[derive(Debug)]
pub struct Encoder(());

impl Encoder {
    /// Writes this in the attachment's place.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn write(self, value: &(impl Serialize + ?Sized)) -> serde_json::Result<Encoded> {
        serde_json::value::to_raw_value(value).map(Encoded)
    }
}

/// An attachment in its written form. Its `Debug` output shows nothing of the value.
pub struct Encoded(Box<RawValue>);

/// Reads an attachment. Made by [`Attachments`] alone, from what a host kept.
pub struct Decoder<'t>(&'t RawValue);

impl<'t> Decoder<'t> {
    /// Reads what [`Encoder::write`] wrote.
    ///
    /// # Errors
    /// When it is not a `T`.
    pub fn read<T: Deserialize<'t>>(self) -> serde_json::Result<T> {
        serde_json::from_str(self.0.get())
    }
}

/// How long an attachment lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// In memory, with its request or socket. It is lost in a hibernation that unloads
    /// the process. It is never written to storage, so this is the lifetime for
    /// secrets.
    Memory,
    /// As long as the connection, hibernation included; may be written to the
    /// host's storage.
    Connection,
}

/// The values attached to one request or connection. Clones share the values.
#[derive(Clone, Default)]
pub struct Attachments(Arc<Shared>);

#[derive(Default)]
struct Shared {
    entries: Mutex<Vec<Entry>>,
    /// Called after each change of the values that are kept with a connection.
    on_change: OnceLock<OnChange>,
}

/// What a host does after a change.
type OnChange = Box<dyn Fn() + Send + Sync>;

struct Entry {
    name: Cow<'static, str>,
    lifetime: Lifetime,
    value: Value,
}

#[derive(Clone)]
enum Value {
    Live {
        value: Arc<dyn Any + Send + Sync>,
        encode: Encode,
    },
    Encoded(Box<RawValue>),
}

type Encode = fn(&(dyn Any + Send + Sync)) -> serde_json::Result<Box<RawValue>>;

impl Attachments {
    /// Attaches a value, in place of an earlier one of the same type.
    pub fn insert<T: Attachment>(&self, value: T) {
        self.share(Arc::new(value));
    }

    /// Attaches a value that others hold too. Otherwise like [`Attachments::insert`].
    pub fn share<T: Attachment>(&self, value: Arc<T>) {
        let entry = Entry {
            name: Cow::Borrowed(T::NAME),
            lifetime: T::LIFETIME,
            value: Value::Live {
                value,
                encode: encode::<T>,
            },
        };
        self.with(|entries| {
            entries.retain(|entry| entry.name != T::NAME);
            // There are few values, and they stay as long as the connection is open, so
            // no more space is reserved than is likely to be used.
            if entries.len() == entries.capacity() {
                entries.reserve_exact(PLACES);
            }
            entries.push(entry);
        });
        if T::LIFETIME == Lifetime::Connection {
            self.changed();
        }
    }

    /// The values that are kept have changed: calls whoever keeps them.
    pub(crate) fn changed(&self) {
        if let Some(on_change) = self.0.on_change.get() {
            on_change();
        }
    }

    /// Sets the function to call after each change. It can be set once.
    pub(crate) fn on_change(&self, on_change: OnChange) {
        // A connection's host asks once.
        let _ = self.0.on_change.set(on_change);
    }

    /// The attached value of this type. Also `None` when a restored value no longer
    /// decodes as `T`: a value that can't be understood counts as absent.
    pub fn get<T: Attachment>(&self) -> Option<Arc<T>> {
        self.with(|entries| {
            let entry = entries.iter_mut().find(|entry| entry.name == T::NAME)?;
            if let Value::Encoded(raw) = &entry.value {
                let value = T::decode(Decoder(raw)).ok()?;
                entry.value = Value::Live {
                    value: Arc::new(value),
                    encode: encode::<T>,
                };
            }
            let Value::Live { value, .. } = &entry.value else {
                return None;
            };
            Arc::clone(value).downcast().ok()
        })
    }

    /// Whether both are handles to the same values.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether a value of this type is attached, even one that does not decode any more:
    /// for wrappers that must tell "nobody" from "somebody who can't be read".
    pub fn holds<T: Attachment>(&self) -> bool {
        self.with(|entries| entries.iter().any(|entry| entry.name == T::NAME))
    }

    /// For hosts: the values as one JSON object, to hand to another process or
    /// to store. With [`Lifetime::Connection`] only the values that may be
    /// stored are in it.
    ///
    /// # Errors
    /// When a value cannot be written.
    pub fn encode(&self, lifetime: Lifetime) -> serde_json::Result<String> {
        // Written without the lock, because it is an application's code that writes.
        let kept: Vec<_> = self.with(|entries| {
            let kept = entries.iter().filter(|entry| {
                lifetime == Lifetime::Memory || entry.lifetime == Lifetime::Connection
            });
            kept.map(|entry| (entry.name.clone(), entry.lifetime, entry.value.clone()))
                .collect()
        });
        let mut object = std::collections::BTreeMap::new();
        for (name, lifetime, value) in kept {
            let raw = match value {
                Value::Live { value, encode } => encode(&*value)?,
                Value::Encoded(raw) => raw,
            };
            object.insert(name, (lifetime == Lifetime::Memory, raw));
        }
        serde_json::to_string(&object)
    }

    /// For hosts: what [`Attachments::encode`] wrote. The text must come from
    /// the host itself, never from a client.
    ///
    /// # Errors
    /// When the text is not such an object.
    pub fn decode(text: &str) -> serde_json::Result<Self> {
        let object: std::collections::BTreeMap<String, (bool, Box<RawValue>)> =
            serde_json::from_str(text)?;
        let entries = object
            .into_iter()
            .map(|(name, (memory_only, raw))| Entry {
                name: name.into(),
                lifetime: if memory_only {
                    Lifetime::Memory
                } else {
                    Lifetime::Connection
                },
                value: Value::Encoded(raw),
            })
            .collect();
        Ok(Self(Arc::new(Shared {
            entries: Mutex::new(entries),
            on_change: OnceLock::new(),
        })))
    }

    /// Entries are replaced whole, so a panic elsewhere can't leave a torn one.
    fn with<R>(&self, body: impl FnOnce(&mut Vec<Entry>) -> R) -> R {
        body(
            &mut self
                .0
                .entries
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

/// Shows the names only: values may be secrets.
impl fmt::Debug for Attachments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|entries| {
            f.debug_set()
                .entries(entries.iter().map(|entry| &entry.name))
                .finish()
        })
    }
}

fn encode<T: Attachment>(value: &(dyn Any + Send + Sync)) -> serde_json::Result<Box<RawValue>> {
    match value.downcast_ref::<T>() {
        Some(value) => value.encode(Encoder(())).map(|Encoded(raw)| raw),
        None => unreachable!("an entry's encoder is made beside its value, for the same type"),
    }
}

/// Who the caller is, if a wrapper vouches for it: an opaque name.
///
/// A room lets two connections share the public id that a client chose (`_pk`)
/// only when both have the same principal. A connection without a principal
/// shares with nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(pub String);

impl Attachment for Principal {
    const NAME: &'static str = "partyserver.principal";
    const LIFETIME: Lifetime = Lifetime::Connection;

    fn encode(&self, encoder: Encoder) -> serde_json::Result<Encoded> {
        encoder.write(&self.0)
    }

    fn decode(decoder: Decoder<'_>) -> serde_json::Result<Self> {
        decoder.read().map(Self)
    }
}

/// How many values have space from the beginning. An authenticated event attaches
/// three: the caller, and what comes with a token.
const PLACES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Secret(String);

    impl Attachment for Secret {
        const NAME: &'static str = "test.secret";
        const LIFETIME: Lifetime = Lifetime::Memory;

        fn encode(&self, encoder: Encoder) -> serde_json::Result<Encoded> {
            encoder.write(&self.0)
        }

        fn decode(decoder: Decoder<'_>) -> serde_json::Result<Self> {
            decoder.read().map(Self)
        }
    }

    #[test]
    fn what_is_stored_leaves_memory_only_values_out() {
        let attachments = Attachments::default();
        attachments.insert(Secret("hush".into()));
        attachments.insert(Principal("alice".into()));

        let stored = attachments.encode(Lifetime::Connection).unwrap();
        assert!(!stored.contains("hush"));
        let restored = Attachments::decode(&stored).unwrap();
        assert_eq!(restored.get::<Secret>(), None);
        assert_eq!(restored.get::<Principal>().unwrap().0, "alice");

        let passed = Attachments::decode(&attachments.encode(Lifetime::Memory).unwrap()).unwrap();
        assert_eq!(passed.get::<Secret>().unwrap().0, "hush");
        // A value that was passed on keeps its lifetime.
        assert!(
            !passed
                .encode(Lifetime::Connection)
                .unwrap()
                .contains("hush")
        );
    }

    #[test]
    fn debug_shows_no_value() {
        let attachments = Attachments::default();
        attachments.insert(Secret("hush".into()));
        assert_eq!(format!("{attachments:?}"), r#"{"test.secret"}"#);
    }

    #[test]
    fn a_later_value_replaces_the_earlier() {
        let attachments = Attachments::default();
        attachments.insert(Principal("alice".into()));
        attachments.insert(Principal("bob".into()));
        assert_eq!(attachments.get::<Principal>().unwrap().0, "bob");
    }
}
