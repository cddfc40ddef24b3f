//! What a room's statements may do, and what they may cost the machine.

use partyserver::{SqlError, SqlValue};

use super::*;

fn files(store: &Path) -> usize {
    std::fs::read_dir(store.join("sql")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn no_two_rooms_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let names = [
        ("ab", "c"),
        ("a", "bc"),
        ("a", "BC"),
        ("a", "bc%20"),
        ("a", ""),
    ];
    for (party, room) in names {
        let name = RoomName {
            party: party.into(),
            room: room.into(),
        };
        let sql = store.sql(&name);
        sql.execute("CREATE TABLE t (v)", vec![]).await.unwrap();
    }
    store.close().await;
    assert_eq!(files(folder.path()), names.len());
}

#[tokio::test]
async fn a_statement_reaches_nothing_but_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let sql = store.sql(&name("a"));
    sql.execute("CREATE TABLE t (v)", vec![]).await.unwrap();
    let elsewhere = folder.path().join("elsewhere");
    let vacuum = format!("VACUUM INTO '{}'", elsewhere.display());
    for refused in [
        &*vacuum,
        "VACUUM",
        "ATTACH ':memory:' AS other",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT s",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA page_size = 512",
        "PRAGMA writable_schema = ON",
        "SELECT * FROM pragma_journal_mode",
        "INSERT INTO t VALUES (1); DROP TABLE t",
        "SELECT ?1",
        "",
    ] {
        let outcome = sql.execute(refused, vec![]).await;
        assert!(
            matches!(outcome, Err(SqlError::Statement(_))),
            "{refused}: {outcome:?}"
        );
    }
    assert!(!elsewhere.exists());
    let rows = sql.execute("SELECT v FROM t", vec![]).await.unwrap();
    assert!(rows.rows.is_empty());
}

#[tokio::test]
async fn what_describes_the_database_and_full_text_are_allowed() {
    let store = Store::temporary().unwrap();
    let sql = store.sql(&name("a"));
    for statement in [
        "CREATE TABLE t (v)",
        "PRAGMA table_info(t)",
        "SELECT name FROM pragma_table_list",
        "CREATE VIRTUAL TABLE words USING fts5 (text)",
        "INSERT INTO words VALUES ('one and two')",
        "CREATE VIRTUAL TABLE boxes USING rtree (id, west, east)",
        "INSERT INTO boxes VALUES (1, 2, 3)",
    ] {
        let outcome = sql.execute(statement, vec![]).await;
        assert!(outcome.is_ok(), "{statement}: {outcome:?}");
    }
    let found = "SELECT count(*) FROM words WHERE words MATCH ?1";
    let rows = sql.execute(found, vec!["two".into()]).await.unwrap();
    assert_eq!(rows.rows, [[SqlValue::Integer(1)]]);
}

#[tokio::test]
async fn rows_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let values = vec![
        SqlValue::Null,
        SqlValue::Integer(i64::MIN),
        SqlValue::Real(0.5),
        SqlValue::Text("é\0".into()),
        SqlValue::Blob(vec![0, 255]),
    ];
    let sql = store.sql(&name("a"));
    sql.execute("CREATE TABLE t (a, b, c, d, e)", vec![])
        .await
        .unwrap();
    let insert = "INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5)";
    sql.execute(insert, values.clone()).await.unwrap();
    drop((sql, store));
    let store = Store::open(folder.path()).unwrap();
    let sql = store.sql(&name("a"));
    let rows = sql.execute("SELECT * FROM t", vec![]).await.unwrap();
    assert_eq!(rows.columns, ["a", "b", "c", "d", "e"]);
    assert_eq!(rows.rows, [values]);
}

#[tokio::test]
async fn open_databases_are_bounded_and_closed_ones_open_again() {
    let store = Store::temporary().unwrap();
    let rooms: Vec<_> = (0..132)
        .map(|room| store.sql(&name(&room.to_string())))
        .collect();
    for sql in &rooms {
        sql.execute("CREATE TABLE t (v)", vec![]).await.unwrap();
        assert!(store.0.databases.open() <= 128);
    }
    assert_eq!(store.0.databases.open(), 128);
    for sql in &rooms[..8] {
        sql.execute("INSERT INTO t VALUES (1)", vec![])
            .await
            .unwrap();
    }
}

#[test]
fn a_database_is_closed_with_its_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let sql = store.sql(&name("a"));
    runtime
        .block_on(sql.execute("CREATE TABLE t (v)", vec![]))
        .unwrap();
    // The database, its log and the log's index.
    assert_eq!(files(folder.path()), 3);
    // Inside the runtime the database is closed in the background; this waits for it.
    runtime.block_on(async { drop(sql) });
    drop(runtime);
    assert_eq!(files(folder.path()), 1);
}

#[tokio::test]
async fn closing_the_store_ends_a_statement_without_end() {
    let store = Store::temporary().unwrap();
    let sql = store.sql(&name("a"));
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                   SELECT max(i) FROM n";
    let (outcome, ()) = tokio::join!(sql.execute(endless, vec![]), store.close());
    // The statement's own limit, half a minute later, was not what ended it.
    assert!(matches!(outcome, Err(SqlError::Storage(_))), "{outcome:?}");
}
