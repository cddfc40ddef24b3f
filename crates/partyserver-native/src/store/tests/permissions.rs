//! Files that the store makes are for its user alone. Files that it can't use are
//! named.

use super::*;

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_what_is_made() {
    use std::os::unix::fs::PermissionsExt as _;

    fn check(path: &Path) {
        let metadata = path.metadata().unwrap();
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        let mode = metadata.permissions().mode() & 0o777;
        assert_eq!(mode, expected, "{}: {mode:o}", path.display());
        if metadata.is_dir() {
            for entry in path.read_dir().unwrap() {
                check(&entry.unwrap().path());
            }
        }
    }

    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let store = Store::open(&folder).unwrap();
    put(&store, "a", "k", "1").await.unwrap();
    let sql = store.sql(&name("a"));
    sql.execute("CREATE TABLE t (v)", vec![]).await.unwrap();
    assert!(folder.join("rooms.sqlite3-wal").exists());
    check(&folder);
}

#[test]
fn every_refusal_is_one_line_that_names_the_path() {
    let parent = tempfile::tempdir().unwrap();
    let path = |name: &str| parent.path().join(name);
    std::fs::write(path("file"), "").unwrap();
    let used = Store::open(&path("used")).unwrap();
    std::fs::create_dir_all(path("blocked/rooms.sqlite3")).unwrap();
    std::fs::create_dir_all(path("damaged")).unwrap();
    std::fs::write(path("damaged/rooms.sqlite3"), "x").unwrap();
    let refusals = [
        ("missing/folder", "store_folder"),
        ("file", "store_folder"),
        ("used", "store_in_use"),
        ("blocked", "store_file"),
        ("damaged", "store_damaged"),
    ];
    for (name, code) in refusals {
        let Err(error) = Store::open(&path(name)) else {
            panic!("{name} was opened")
        };
        let message = error.to_string();
        assert_eq!(error.code(), code, "{message}");
        assert!(message.contains(path(name).to_str().unwrap()), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
    drop(used);
}
