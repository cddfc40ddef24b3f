//! A byte that changes on the disk never changes what is read: either the start fails,
//! or the byte belonged to something that is not in use.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;

use super::*;
use crate::store::schema;

/// Everything that a store would answer: each key with its value, and the alarms in
/// order.
type Content = Vec<(String, String, String)>;

fn content(db: &Connection) -> rusqlite::Result<Content> {
    let mut all = Content::new();
    for query in [
        "SELECT room, key, value FROM keys ORDER BY party, room, key",
        "SELECT party, room, at || '' FROM alarms ORDER BY at",
    ] {
        let mut statement = db.prepare(query)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        for row in rows {
            all.push(row?);
        }
    }
    Ok(all)
}

/// The two files of a store, as they are on the disk at one moment.
struct Files {
    main: Vec<u8>,
    log: Vec<u8>,
}

impl Files {
    fn of(folder: &Path) -> Self {
        let read = |name| fs::read(folder.join(name)).unwrap_or_default();
        Self {
            main: read("rooms.sqlite3"),
            log: read("rooms.sqlite3-wal"),
        }
    }

    /// Opens a copy and reads all of it, unless the start fails.
    fn open(&self, folder: &Path) -> Option<Content> {
        let file = self.write(folder);
        let db = match schema::open(&file) {
            Ok(db) => db,
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains("rooms.sqlite3"), "{message}");
                return None;
            }
        };
        Some(content(&db).expect("a store that was opened can be read"))
    }

    fn write(&self, folder: &Path) -> PathBuf {
        let file = folder.join("rooms.sqlite3");
        let _ = fs::remove_file(folder.join("rooms.sqlite3-shm"));
        fs::write(&file, &self.main).unwrap();
        fs::write(folder.join("rooms.sqlite3-wal"), &self.log).unwrap();
        file
    }
}

/// Rooms with owners, other values and alarms.
async fn fill(store: &Store) {
    for room in ["a", "b", "c"] {
        put(store, room, "owner", "\"alice\"").await.unwrap();
        put(store, room, "text", "\"some words\"").await.unwrap();
        let at = from_millis(1_000 + u64::from(room.as_bytes()[0]) as i64);
        store.set_alarm(name(room), Some(at)).await.unwrap();
    }
}

#[tokio::test]
async fn in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    fill(&store).await;
    store.close().await;
    let mut files = Files::of(folder.path());
    let whole = files.open(folder.path()).unwrap();
    assert_eq!(whole.len(), 9);

    let (mut flipped, mut refused) = (0, 0);
    for at in 0..files.main.len() {
        // An empty part of a page holds nothing, so it is enough to test some of its
        // bytes.
        if files.main[at] == 0 && at % 64 != 0 {
            continue;
        }
        let bit = 1 << (at % 8);
        files.main[at] ^= bit;
        match files.open(folder.path()) {
            None => refused += 1,
            Some(content) => assert_eq!(content, whole, "byte {at}, bit {bit:#x}"),
        }
        files.main[at] ^= bit;
        flipped += 1;
    }
    println!("{flipped} bytes were flipped one by one; {refused} times the start failed");
    assert!(refused > 500, "the bytes of the rows at least");
}

#[tokio::test]
async fn in_the_log_of_a_process_that_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    fill(&store).await;
    // The files are as a kill leaves them: the log is not written back.
    let mut files = Files::of(folder.path());
    drop(store);
    let copy = tempfile::tempdir().unwrap();
    let whole = files.open(copy.path()).unwrap();
    assert_eq!(whole.len(), 9);
    // The last write was an alarm. It can't be told from a write that was interrupted.
    let interrupted = whole[..8].to_vec();

    let (mut flipped, mut refused, mut lost_last) = (0, 0, 0);
    for at in 0..files.log.len() {
        let is_header = at < 32 || (at - 32) % 4120 < 24;
        if !is_header && at % 61 != 0 {
            continue;
        }
        let bit = 1 << (at % 8);
        files.log[at] ^= bit;
        match files.open(copy.path()) {
            None => refused += 1,
            Some(content) if content == interrupted => lost_last += 1,
            Some(content) => assert_eq!(content, whole, "byte {at}, bit {bit:#x}"),
        }
        files.log[at] ^= bit;
        flipped += 1;
    }
    println!("{flipped} bytes: the start failed {refused} times, {lost_last} lost the last write");
    assert!(refused > lost_last, "{refused} {lost_last}");
}

#[tokio::test]
async fn in_a_value_while_the_store_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    put(&store, "a", "k", "\"some words\"").await.unwrap();
    put(&store, "a", "other", "1").await.unwrap();
    store.close().await;
    let store = Store::open(folder.path()).unwrap();

    let file = folder.path().join("rooms.sqlite3");
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(10).position(|window| window == b"some words");
    bytes[at.unwrap()] ^= 0x20;
    fs::write(&file, bytes).unwrap();

    let storage = store.storage(name("a"));
    for outcome in [
        storage.get("k").await.map(drop),
        storage.keys("", 9).await.map(drop),
    ] {
        let Err(StorageError::Unavailable(reason)) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(reason.contains("damaged"), "{reason}");
    }
    assert_eq!(get(&store, "a", "other").await.as_deref(), Some("1"));
}
