//! A checksum in each row. SQLite has none, so without it a value with a flipped byte
//! would be read as if it were what was written.

use partyserver::StorageError;
use sha2::{Digest, Sha256};

use super::error::Failure;

/// The checksum of a row with these columns, in the form that SQLite stores.
pub(super) fn of(columns: &[&[u8]]) -> i64 {
    let mut hash = Sha256::new();
    for column in columns {
        // The length is included, so that no byte can move to the next column.
        hash.update((column.len() as u64).to_le_bytes());
        hash.update(column);
    }
    let digest = hash.finalize();
    // 64 bits are enough: this protects against accidents, and whoever writes the file
    // is trusted.
    i64::from_le_bytes(std::array::from_fn(|index| digest[index]))
}

/// Fails when a row is different from what was written.
pub(super) fn check(stored: i64, columns: &[&[u8]]) -> Result<(), Failure> {
    if stored == of(columns) {
        Ok(())
    } else {
        Err(Failure(StorageError::Unavailable(WRONG.into())))
    }
}

/// The message for a row that is different from what was written.
pub(super) const WRONG: &str = "the file is damaged: a row's checksum is wrong";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_in_every_version() {
        assert_eq!(of(&[b"chat", b"a", b"owner", b"\"alice\""]), GOLDEN);
    }

    const GOLDEN: i64 = 6_187_009_988_730_439_845;

    #[test]
    fn a_byte_that_moves_to_the_next_column_is_noticed() {
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b"a", b""]), of(&[b"a"]));
    }
}
