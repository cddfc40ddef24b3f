//! A checksum in each row. SQLite has none: it would hand out a value with a flipped
//! byte as if it were what was written.

use partyserver::StorageError;
use sha2::{Digest, Sha256};

use super::error::Failure;

/// The checksum of a row of these columns, as SQLite keeps it.
pub(super) fn of(columns: &[&[u8]]) -> i64 {
    let mut hash = Sha256::new();
    for column in columns {
        // With its length, so that no byte can move to the next column.
        hash.update((column.len() as u64).to_le_bytes());
        hash.update(column);
    }
    let digest = hash.finalize();
    // 64 bits of it: this is against accidents, and the file's writer is trusted.
    i64::from_le_bytes(std::array::from_fn(|index| digest[index]))
}

/// Fails when a row is not as it was written.
pub(super) fn check(stored: i64, columns: &[&[u8]]) -> Result<(), Failure> {
    if stored == of(columns) {
        Ok(())
    } else {
        Err(Failure(StorageError::Unavailable(WRONG.into())))
    }
}

/// What is said of a row that is not as it was written.
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
