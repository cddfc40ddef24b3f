//! Finds damage in a write-ahead log. SQLite takes damage for the end of the log: it
//! would drop every transaction from there on, acknowledged or not, and say nothing.
//!
//! A crash can spoil only data that was not synced. That is at most one transaction,
//! because the next one begins after the sync. So if two or more transactions follow
//! the place where the log breaks, it was damaged later. The last transaction of a log
//! can't be told from one that a crash has interrupted.
//!
//! The format: <https://sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Reads the log of a database, if there is one. `Some` says what is wrong with it.
pub(super) fn damage(database: &Path) -> io::Result<Option<&'static str>> {
    match File::open(beside(database)) {
        Ok(file) => damage_in(BufReader::with_capacity(1 << 16, file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where the log of a database is.
pub(super) fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn damage_in(mut log: impl Read) -> io::Result<Option<&'static str>> {
    let mut header = [0; HEADER];
    if !is_read(&mut log, &mut header)? || header == [0; HEADER] {
        // The header is synced before the first transaction, so there was none.
        return Ok(None);
    }
    let order = match word(&header, 0) {
        MAGIC => u32::from_le_bytes,
        MAGIC_BIG_ENDIAN => u32::from_be_bytes,
        _ => return Ok(Some(BROKEN_HEADER)),
    };
    let mut sum = Sum {
        order,
        words: [0; 2],
    };
    sum.add(&header[..24]);
    let page = word(&header, 8) as usize;
    if !sum.is(&header[24..]) || !page.is_power_of_two() || !(512..=65_536).contains(&page) {
        return Ok(Some(BROKEN_HEADER));
    }
    let salt = &header[16..24];
    let mut frame = vec![0; FRAME_HEADER + page];
    let mut is_broken = false;
    let mut transactions_beyond = 0;
    while is_read(&mut log, &mut frame)? {
        if !is_broken {
            sum.add(&frame[..8]);
            sum.add(&frame[FRAME_HEADER..]);
            is_broken = frame[8..16] != *salt || !sum.is(&frame[16..24]);
        }
        // In a frame from an earlier use of the file, both words of the salt are
        // different. A frame in which only one word differs is damaged.
        let is_of_this_use = frame[8..12] == salt[..4] || frame[12..16] == salt[4..];
        // The last frame of a transaction says how large the database is.
        if is_broken && is_of_this_use && word(&frame, 4) != 0 {
            transactions_beyond += 1;
        }
    }
    Ok((transactions_beyond > 1).then_some(BROKEN_FRAME))
}

/// Fills the buffer. Returns whether the log was long enough.
fn is_read(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The checksum of everything up to a place in the log.
struct Sum {
    order: fn([u8; 4]) -> u32,
    words: [u32; 2],
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let [mut first, mut second] = self.words;
        let mut words = bytes.chunks_exact(4).map(|bytes| {
            let bytes = bytes.try_into().unwrap_or_default();
            (self.order)(bytes)
        });
        while let (Some(even), Some(odd)) = (words.next(), words.next()) {
            first = first.wrapping_add(even).wrapping_add(second);
            second = second.wrapping_add(odd).wrapping_add(first);
        }
        self.words = [first, second];
    }

    fn is(&self, stored: &[u8]) -> bool {
        self.words == [word(stored, 0), word(stored, 4)]
    }
}

/// A number in the log, most significant byte first.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(std::array::from_fn(|index| bytes[at + index]))
}

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The first word of the header says in which byte order the checksums read words.
const MAGIC: u32 = 0x377f_0682;
const MAGIC_BIG_ENDIAN: u32 = 0x377f_0683;
const BROKEN_HEADER: &str = "the header of its write-ahead log is damaged";
const BROKEN_FRAME: &str = "its write-ahead log is damaged before its end";
