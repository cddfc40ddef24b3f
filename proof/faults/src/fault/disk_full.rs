//! The disk becomes full, and later has room again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use local_issuer::LocalIssuer;

use super::Done;
use crate::client::{Http, Received, Socket, request};
use crate::process::{Server, Start};

/// A small file system in memory. It is unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path) -> Result<Self, String> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(folder)
            .output()
            .map_err(|error| error.to_string())?;
        if mounted.status.success() {
            Ok(Self(folder.to_owned()))
        } else {
            Err(String::from_utf8_lossy(&mounted.stderr).trim().to_owned())
        }
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Leaves no room.
    fn fill(&self) {
        // The write ends when the disk is full.
        let _ = fs::write(self.filler(), vec![0; 8 << 20]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a process that was killed may still be ending.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// An owner's writes to a room, and which of them were acknowledged.
struct Writer {
    http: Http,
    token: String,
    acknowledged: BTreeMap<String, String>,
    written: usize,
}

impl Writer {
    /// Writes a new key. Returns the status, and the text of a failure.
    async fn write(&mut self, bytes: usize, kind: &str) -> (u16, String) {
        self.written += 1;
        let key = format!("{}{kind}", self.written);
        let value = "x".repeat(bytes);
        let path = format!("/parties/private/a?key={key}&value={value}{kind}");
        let answer = self.http.request("PUT", &path, Some(&self.token)).await;
        let answer = answer.expect("an answer");
        if answer.status == 200 {
            self.acknowledged.insert(key, answer.body.clone());
        }
        (answer.status, answer.body)
    }

    /// Checks that everything that was acknowledged can be read.
    async fn verify(&mut self) {
        for (key, value) in &self.acknowledged {
            let kind = &key[key.find('&').unwrap_or(key.len())..];
            let path = format!("/parties/private/a?key={key}{kind}");
            let answer = self.http.request("GET", &path, Some(&self.token)).await;
            let answer = answer.expect("an answer");
            assert_eq!((answer.status, &answer.body), (200, value), "{key}");
        }
    }

    async fn reconnect(&mut self, server: &Server) {
        self.http = Http::connect(&server.address).await.expect("it listens");
    }
}

/// Key-value storage, and SQL: the disk can become full for each.
const KINDS: [&str; 2] = ["", "&sql=1"];

pub(super) async fn a_full_disk_stops_writes_alone_and_until_there_is_room() -> Done {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = match SmallDisk::mount(folder.path()) {
        Ok(disk) => disk,
        Err(reason) => {
            return Done::NotHere(format!("no small file system can be mounted: {reason}"));
        }
    };
    let issuer = LocalIssuer::builder().start().await.expect("an issuer");
    let (url, data) = (issuer.url(), folder.path().join("data"));
    let start = Start {
        issuer: Some(&url),
        data: Some(&data),
        ..Start::default()
    };
    let server = start.run().await;
    let token = issuer.token().sign();
    let claim = "/parties/private/a/claim";
    assert_eq!(
        request(&server.address, "POST", claim, &token).await.status,
        200
    );
    let mut socket = Socket::open(&server.address, "/parties/echo/a").await;
    assert_eq!(socket.next().await, Received::Text("welcome".into()));
    let mut writer = Writer {
        http: Http::connect(&server.address).await.expect("it listens"),
        token: token.clone(),
        acknowledged: BTreeMap::new(),
        written: 0,
    };

    for round in 0..3 {
        for kind in KINDS.repeat(20) {
            assert_eq!(
                writer.write(1000, kind).await.0,
                200,
                "there is room, {round}"
            );
        }
        disk.fill();
        for kind in KINDS {
            // A few writes may still fit into the space that the files have already.
            let mut refusals = 0;
            for _ in 0..2000 {
                let (status, text) = writer.write(1000, kind).await;
                if status != 200 {
                    assert_eq!((status, &*text), (507, "the disk is full"), "{kind}");
                    refusals += 1;
                    if refusals == 10 {
                        break;
                    }
                }
            }
            assert_eq!(refusals, 10, "the disk is full");
        }
        writer.verify().await;
        socket.echo("still here").await;
        fs::remove_file(disk.filler()).expect("there was a filler");
    }
    for kind in KINDS {
        assert_eq!(writer.write(1000, kind).await.0, 200, "there is room again");
    }
    writer.verify().await;

    // A new start finds all data, and does not mistake a full disk for damage.
    server.kill().await;
    disk.fill();
    let started = match start.try_run().await {
        Ok(server) => {
            writer.reconnect(&server).await;
            writer.verify().await;
            server.kill().await;
            "a start on a full disk serves".to_owned()
        }
        Err(message) => {
            let last = message.lines().last().unwrap_or_default();
            assert!(last.contains("rooms.sqlite3"), "{message}");
            assert!(last.contains("can't be used"), "{message}");
            format!("a start on a full disk says {last:?}")
        }
    };
    fs::remove_file(disk.filler()).expect("there was a filler");
    let server = start.run().await;
    writer.reconnect(&server).await;
    writer.verify().await;
    let count = writer.acknowledged.len();
    Done::Holds(format!("{count} acknowledged writes are there; {started}"))
}
