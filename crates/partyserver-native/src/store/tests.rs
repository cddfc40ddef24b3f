//! The store on real files.

use partyserver::host::Change;
use partyserver::{SqlError, SqlValue};

use super::*;

mod acknowledged;
mod crash;
mod damage;
mod ends;
mod flipped_byte;
mod group_commit;
mod permissions;
mod room_sql;

fn name(room: &str) -> RoomName {
    RoomName {
        party: "chat".into(),
        room: room.into(),
    }
}

async fn put(store: &Store, room: &str, key: &str, text: &'static str) -> Result<(), StorageError> {
    store
        .storage(name(room))
        .update(key, Box::new(move |_| Change::Put(text.into())))
        .await
}

async fn get(store: &Store, room: &str, key: &str) -> Option<String> {
    store.storage(name(room)).get(key).await.unwrap()
}

#[tokio::test]
async fn an_acknowledged_write_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    put(&store, "a", "k", "1").await.unwrap();
    assert_eq!(get(&store, "a", "k").await.as_deref(), Some("1"));
    assert_eq!(get(&store, "b", "k").await, None);
    store.close().await;
    assert!(put(&store, "a", "k", "2").await.is_err());
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(get(&store, "a", "k").await.as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_updates_are_atomic() {
    let store = Store::temporary().unwrap();
    let updates = (0..1000).map(|_| {
        let storage = store.storage(name("a"));
        tokio::spawn(async move {
            let step = |present: Option<&str>| {
                let count: u32 = present.map_or(0, |text| text.parse().unwrap());
                Change::Put((count + 1).to_string())
            };
            storage.update("count", Box::new(step)).await.unwrap();
        })
    });
    for update in updates.collect::<Vec<_>>() {
        update.await.unwrap();
    }
    assert_eq!(get(&store, "a", "count").await.as_deref(), Some("1000"));
}

#[tokio::test]
async fn an_update_that_panics_fails_alone() {
    let store = Store::temporary().unwrap();
    let storage = store.storage(name("a"));
    assert!(
        storage
            .update("k", Box::new(|_| panic!("in an update")))
            .await
            .is_err()
    );
    put(&store, "a", "k", "1").await.unwrap();
    assert_eq!(get(&store, "a", "k").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn keys_have_prefixes() {
    let store = Store::temporary().unwrap();
    for key in ["a", "b:1", "b:2", "b:3", "c"] {
        put(&store, "a", key, "0").await.unwrap();
    }
    put(&store, "other", "b:4", "0").await.unwrap();
    let storage = store.storage(name("a"));
    assert_eq!(storage.keys("b:", 2).await.unwrap(), ["b:1", "b:2"]);
    assert_eq!(storage.keys("b:", 9).await.unwrap(), ["b:1", "b:2", "b:3"]);
    assert_eq!(storage.keys("", 99).await.unwrap().len(), 5);
}

#[tokio::test]
async fn alarms_survive_and_are_cleared_only_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (early, late) = (from_millis(1000), from_millis(2000));
    store.set_alarm(name("a"), Some(late)).await.unwrap();
    store.set_alarm(name("b"), Some(early)).await.unwrap();
    store.close().await;
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    let due = store.next_alarms(9).await.unwrap();
    let times: Vec<_> = due
        .iter()
        .map(|alarm| (alarm.room.clone(), alarm.at))
        .collect();
    assert_eq!(times, [(name("b"), early), (name("a"), late)]);
    // This is another alarm, although it has the same time.
    store.set_alarm(name("b"), None).await.unwrap();
    store.set_alarm(name("b"), Some(early)).await.unwrap();
    store.clear_alarm(&due[0]).await.unwrap();
    store.move_alarm(&due[0], late).await.unwrap();
    let other = store.alarm(name("b")).await.unwrap().unwrap();
    assert_eq!(other.at, early);
    store.move_alarm(&other, late).await.unwrap();
    assert_eq!(store.alarm(name("b")).await.unwrap().unwrap().at, late);
    store.clear_alarm(&other).await.unwrap();
    assert_eq!(store.alarm(name("b")).await.unwrap(), None);
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(folder.path()).unwrap();
    let Err(error) = Store::open(folder.path()) else {
        panic!("it was opened twice")
    };
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
    drop(first);
    assert!(Store::open(folder.path()).is_ok());
}

#[test]
fn a_newer_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    let db = rusqlite::Connection::open(folder.path().join("rooms.sqlite3")).unwrap();
    db.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(db);
    let Err(error) = Store::open(folder.path()) else {
        panic!("it was opened")
    };
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[test]
fn what_is_not_a_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rooms.sqlite3");
    std::fs::write(&file, "this is not a database, but a text of some length").unwrap();
    assert!(matches!(
        Store::open(folder.path()),
        Err(StoreError::Damaged { .. })
    ));
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .starts_with("this is not")
    );
}

#[test]
fn a_damaged_store_is_reported_and_not_served() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    let file = folder.path().join("rooms.sqlite3");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(
        Store::open(folder.path()),
        Err(StoreError::Damaged { .. })
    ));
}

#[test]
fn a_folder_without_a_parent_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no/such");
    assert!(matches!(
        Store::open(&missing),
        Err(StoreError::Folder { .. })
    ));
}

#[tokio::test]
async fn a_full_disk_is_said_and_reads_go_on() {
    let store = Store::temporary().unwrap();
    put(&store, "a", "k", "1").await.unwrap();
    let limit = |pages: u32| {
        store.0.writer.write(move |db| {
            let set = format!("PRAGMA max_page_count = {pages}");
            Ok(db.query_row(&set, [], |_| Ok(()))?)
        })
    };
    limit(1).await.unwrap();
    let large: &'static str = "x".repeat(1 << 20).leak();
    assert!(matches!(
        put(&store, "a", "large", large).await,
        Err(StorageError::Full)
    ));
    assert_eq!(get(&store, "a", "k").await.as_deref(), Some("1"));
    limit(1 << 30).await.unwrap();
    put(&store, "a", "large", large).await.unwrap();
}

#[tokio::test]
async fn sql_is_the_rooms_own() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("store");
    let store = Store::open(&folder).unwrap();
    for room in ["..", "../../x", "%2e%2e", "A", "a", &"x".repeat(5000)] {
        let sql = store.sql(&name(room));
        sql.execute("CREATE TABLE t (v)", vec![]).await.unwrap();
        sql.execute("INSERT INTO t VALUES (?1)", vec![room.into()])
            .await
            .unwrap();
        let rows = sql.execute("SELECT v FROM t", vec![]).await.unwrap();
        assert_eq!(rows.rows, [[SqlValue::from(room)]]);
    }
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "lock" || name == "sql" || name.starts_with("rooms.sqlite3"),
            "{name}"
        );
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    let sql = store.sql(&name("a"));
    for refused in [
        "ATTACH DATABASE '../rooms.sqlite3' AS other",
        "PRAGMA user_version = 7",
        "SELECT load_extension('x')",
        "INSERT INTO nowhere VALUES (1)",
    ] {
        assert!(
            matches!(
                sql.execute(refused, vec![]).await,
                Err(SqlError::Statement(_))
            ),
            "{refused}"
        );
    }
}
