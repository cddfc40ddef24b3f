//! Another process uses the store, and is killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

/// This is not a test by itself, but the process that the other test starts and kills.
/// It writes numbers and prints each one that was acknowledged.
#[tokio::test]
async fn write_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let store = Store::open(Path::new(&folder)).unwrap();
    for number in 0_u64.. {
        let storage = store.storage(name("a"));
        let step = Box::new(move |_: Option<&str>| Change::Put(number.to_string()));
        storage.update(&number.to_string(), step).await.unwrap();
        println!("\nacknowledged {number}");
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself, if the test has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_and_leaves_the_folder_free() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::tests::crash::write_until_killed",
            "--nocapture",
        ])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .map(Killed)
        .unwrap();
    let lines = BufReader::new(other.0.stdout.take().unwrap()).lines();
    let mut acknowledged = lines
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<u64>().ok());
    assert!(acknowledged.by_ref().any(|number| number == 20));

    assert!(matches!(
        Store::open(folder.path()),
        Err(StoreError::InUse { .. })
    ));
    other.0.kill().unwrap();
    // What it printed before it was killed is still in the pipe.
    let last = acknowledged.last().unwrap_or(20);
    drop(other);

    let store = Store::open(folder.path()).unwrap();
    for number in 0..=last {
        let expected = number.to_string();
        assert_eq!(get(&store, "a", &expected).await, Some(expected));
    }
}

const FOLDER: &str = "STORE_TEST_FOLDER";
