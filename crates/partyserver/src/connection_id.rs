//! The public id of a connection, which a client may ask for.

use crate::attachments::{Attachments, Principal};
use crate::connection::Connection;

/// The id that a client asks for in its `_pk` parameter, where it is usable:
/// 1 to 256 characters. Whether the client may have it is [`may_share`]'s to
/// say.
pub fn requested_id(query: Option<&str>) -> Option<String> {
    let (_, id) = form_urlencoded::parse(query?.as_bytes()).find(|(name, _)| name == "_pk")?;
    is_valid_tag(&id).then(|| id.into_owned())
}

/// Whether a newcomer may have the id of an open connection of its room: only
/// when a wrapper vouches that both are the same principal. Otherwise the host
/// gives the newcomer a fresh id, so that a stranger who guessed an id is never
/// taken for its holder.
pub fn may_share(newcomer: &Attachments, holder: &Connection) -> bool {
    match (
        newcomer.get::<Principal>(),
        holder.attachments().get::<Principal>(),
    ) {
        (Some(newcomer), Some(holder)) => newcomer == holder,
        _ => false,
    }
}

/// Whether a text may be a tag: 1 to 256 characters.
pub(crate) fn is_valid_tag(tag: &str) -> bool {
    !tag.is_empty() && tag.chars().count() <= MAX_TAG_CHARS
}

/// How many characters a tag, or an id, may have.
const MAX_TAG_CHARS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_id_counts_as_none() {
        let long = format!("_pk={}", "x".repeat(257));
        for (query, id) in [
            (None, None),
            (Some(""), None),
            (Some("_pk="), None),
            (Some(long.as_str()), None),
            (Some("a=b&_pk=me"), Some("me")),
            (Some("_pk=me&_pk=you"), Some("me")),
            (Some("%5Fpk=a%20b"), Some("a b")),
        ] {
            assert_eq!(requested_id(query).as_deref(), id, "{query:?}");
        }
    }
}
