//! A file that is damaged, or is not ours, is never served as if it were empty.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};

use partyserver::SqlError;

use super::*;

fn refused(folder: &Path) -> String {
    let Err(error @ StoreError::Damaged { .. }) = Store::open(folder) else {
        panic!("it was opened")
    };
    error.to_string()
}

#[test]
fn an_emptied_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rooms.sqlite3"), "").unwrap();
    assert!(refused(folder.path()).contains("not a store"));
}

#[test]
fn another_applications_database_is_refused_and_left_alone() {
    for version in [0, 99] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rooms.sqlite3");
        let db = rusqlite::Connection::open(&file).unwrap();
        db.execute_batch(&format!(
            "CREATE TABLE t (v); PRAGMA user_version = {version}"
        ))
        .unwrap();
        drop(db);
        let before = fs::read(&file).unwrap();
        assert!(refused(folder.path()).contains("not a store"));
        assert_eq!(fs::read(&file).unwrap(), before);
    }
}

#[test]
fn a_log_without_its_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rooms.sqlite3-wal"), "pages").unwrap();
    assert!(refused(folder.path()).contains("write-ahead log"));
    assert!(!folder.path().join("rooms.sqlite3").exists());
}

#[tokio::test]
async fn a_start_that_was_interrupted_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rooms.sqlite3.new"), "half of a").unwrap();
    let store = Store::open(folder.path()).unwrap();
    put(&store, "a", "k", "1").await.unwrap();
    assert!(!folder.path().join("rooms.sqlite3.new").exists());
}

#[tokio::test]
async fn damage_while_it_is_open_is_an_error_of_the_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    put(&store, "a", "k", "1").await.unwrap();
    store.close().await;
    let store = Store::open(folder.path()).unwrap();

    let path = folder.path().join("rooms.sqlite3");
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    // Everything except the first page, which says where the other pages are.
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&vec![0xa5; length as usize - 4096]).unwrap();

    let read = store.storage(name("a")).get("k").await;
    let Err(StorageError::Unavailable(reason)) = read else {
        panic!("{read:?}")
    };
    assert!(reason.contains("damaged"), "{reason}");
}

#[tokio::test]
async fn a_rooms_damaged_database_is_the_storages_error_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let sql = store.sql(&name("a"));
    sql.execute("CREATE TABLE t (v)", vec![]).await.unwrap();
    store.close().await;
    drop((sql, store));
    let mut files = fs::read_dir(folder.path().join("sql")).unwrap();
    let file = files.next().unwrap().unwrap().path();
    let text = "this is not a database, but a text of some length";
    fs::write(&file, text).unwrap();

    let store = Store::open(folder.path()).unwrap();
    let outcome = store
        .sql(&name("a"))
        .execute("SELECT v FROM t", vec![])
        .await;
    assert!(
        matches!(
            &outcome,
            Err(SqlError::Storage(StorageError::Unavailable(reason))) if reason.contains("damaged")
        ),
        "{outcome:?}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn a_rooms_log_that_is_damaged_before_its_end_is_not_taken_for_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let sql = store.sql(&name("a"));
    for statement in [
        "CREATE TABLE t (v)",
        "INSERT INTO t VALUES (1)",
        "DELETE FROM t",
    ] {
        sql.execute(statement, vec![]).await.unwrap();
    }
    let files: Vec<_> = fs::read_dir(folder.path().join("sql"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_owned(),
                fs::read(&path).unwrap(),
            )
        })
        .filter(|(name, _)| !name.to_str().unwrap().ends_with("-shm"))
        .collect();
    assert_eq!(files.len(), 2);

    // First as a kill leaves the files, then with a changed byte in the first
    // transaction.
    let killed = tempfile::tempdir().unwrap();
    fs::create_dir(killed.path().join("sql")).unwrap();
    for (name, mut bytes) in files {
        if name.to_str().unwrap().ends_with("-wal") {
            bytes[100] ^= 1;
        }
        fs::write(killed.path().join("sql").join(name), bytes).unwrap();
    }
    let store = Store::open(killed.path()).unwrap();
    let outcome = store
        .sql(&name("a"))
        .execute("SELECT v FROM t", vec![])
        .await;
    assert!(
        matches!(
            &outcome,
            Err(SqlError::Storage(StorageError::Unavailable(reason))) if reason.contains("write-ahead log is damaged")
        ),
        "{outcome:?}"
    );
}
