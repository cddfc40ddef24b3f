//! Tags of connections.

use crate::error::Result;

/// `connection_tags` broke a limit; the server's code is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a connection has at most 9 tags beside its id, each of 1 to 256 characters")]
#[non_exhaustive]
pub struct TagError;

/// The tags that a server gave, if they are within the limits.
pub(crate) fn checked_tags(tags: Vec<String>) -> Result<Vec<String>> {
    if tags.len() > MAX_TAGS || !tags.iter().all(|tag| is_valid_tag(tag)) {
        return Err(TagError.into());
    }
    Ok(tags)
}

/// Whether a text may be a tag: 1 to 256 characters.
pub(crate) fn is_valid_tag(tag: &str) -> bool {
    !tag.is_empty() && tag.chars().count() <= MAX_TAG_CHARS
}

/// How many tags a connection may have beside its id.
const MAX_TAGS: usize = 9;
/// How many characters a tag, or an id, may have.
const MAX_TAG_CHARS: usize = 256;
