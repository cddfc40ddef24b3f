//! JSON as tokens need it: an object in which no member occurs twice.
//!
//! If two members have the same name, parsers differ in which of them they take. So a
//! token with such a pair can mean two things to two readers (RFC 8725 section 2.4, RFC
//! 7515 section 4).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The object in `bytes`. `None` for anything else, or when a member occurs twice in it
/// or in an object inside it.
pub(crate) fn parse_object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(bytes).ok()? {
        Unique(Value::Object(object)) => Some(object),
        Unique(_) => None,
    }
}

/// Passes each member of the object in `bytes` to `member`, by the same rules. If this
/// returns `None`, the object is not acceptable, and the members that were passed must
/// not be used.
pub(crate) fn read_object(bytes: &[u8], member: impl FnMut(&str, Value)) -> Option<()> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    deserializer.deserialize_map(Members(member)).ok()?;
    deserializer.end().ok()
}

struct Members<F>(F);

impl<'de, F: FnMut(&str, Value)> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<(), A::Error> {
        let mut names = BTreeSet::new();
        while let Some((Name(name), Unique(value))) = access.next_entry()? {
            (self.0)(&name, value);
            if !names.insert(name) {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(())
    }
}

/// A name that borrows from the text, unless it has escapes.
#[derive(Deserialize)]
struct Name<'t>(#[serde(borrow)] Cow<'t, str>);

struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unique(value)) = access.next_element()? {
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unique(value))) = access.next_entry::<String, _>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(Value::Object(object))
    }
}

const TWICE: &str = "a member stands twice";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_handed_over_by_their_own_names() {
        let mut read = Map::new();
        let text = br#"{"a":1,"\u0062\"":{"c":[2]}}"#;
        let outcome = read_object(text, |name, value| {
            read.insert(name.to_owned(), value);
        });
        assert!(outcome.is_some());
        assert_eq!(Some(read), parse_object(text));
    }

    #[test]
    fn only_objects_without_duplicates_pass() {
        for (text, is_accepted) in [
            (r#"{"a":1,"b":{"a":[null,true,-1,1.5,"x"]}}"#, true),
            (r#"{}"#, true),
            (r#"{"a":1,"a":1}"#, false),
            (r#"{"a":1,"\u0061":1}"#, false),
            (r#"{"x":{"a":1,"a":2}}"#, false),
            (r#"{"x":[{"a":1,"a":2}]}"#, false),
            ("[]", false),
            ("", false),
            ("{} {}", false),
            (r#"{"exp":1e999}"#, false),
        ] {
            let text = text.as_bytes();
            assert_eq!(parse_object(text).is_some(), is_accepted, "{text:?}");
            let read = read_object(text, |_, _| ());
            assert_eq!(read.is_some(), is_accepted, "{text:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(parse_object(deep.as_bytes()).is_none());
        let deep = format!(r#"{{"a":{deep}"#);
        assert!(read_object(deep.as_bytes(), |_, _| ()).is_none());
    }
}
