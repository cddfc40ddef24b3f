//! The SQL databases of rooms, each in a file of its own.
//!
//! The first statement opens a database, and it is closed when its room leaves memory.
//! However many rooms use SQL, the descriptors and threads for it are limited:
//! [`MAX_OPEN`] and [`MAX_RUNNING`].

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use partyserver::host::SqlPort;
use partyserver::{BoxFuture, Rows, SqlError, SqlValue, StorageError};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::error::{closed, storage_error};
use super::{RoomName, folder, log, schema, statement};

/// The databases of all rooms. Clones share them.
#[derive(Clone)]
pub(super) struct Databases(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    /// A statement uses a thread of tokio's blocking pool while it has a permit.
    running: Arc<Semaphore>,
    /// The open databases. The one that was used last is at the end.
    open: Mutex<Vec<Weak<Slot>>>,
    /// When set, running statements end.
    is_closing: AtomicBool,
}

/// Holds a room's connection while it is open. It is locked while a statement runs or
/// the connection is being closed.
type Slot = Mutex<Option<Connection>>;

impl Databases {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(Arc::new(Shared {
            folder,
            running: Arc::new(Semaphore::new(MAX_RUNNING)),
            open: Mutex::default(),
            is_closing: AtomicBool::new(false),
        }))
    }

    /// Interrupts running statements. Later statements fail.
    pub(super) async fn close(&self) {
        self.0.is_closing.store(true, Ordering::Relaxed);
        // An error means that another call has closed it before.
        if let Ok(_all) = self.0.running.acquire_many(MAX_RUNNING as u32).await {
            self.0.running.close();
        }
        let open = std::mem::take(&mut *lock(&self.0.open));
        let close = move || {
            for slot in open.iter().filter_map(Weak::upgrade) {
                close(&slot);
            }
        };
        // It fails only if the runtime has ended. Then the databases are dropped.
        let _ = tokio::task::spawn_blocking(close).await;
    }

    /// How many databases are open.
    #[cfg(test)]
    pub(super) fn open(&self) -> usize {
        let open = lock(&self.0.open);
        open.iter().filter(|held| held.strong_count() > 0).count()
    }

    /// Notes that a database was used. If too many are open, closes those that were not
    /// used for the longest time.
    fn used(&self, slot: &Arc<Slot>) {
        let mut open = lock(&self.0.open);
        open.retain(|held| held.strong_count() > 0 && held.as_ptr() != Arc::as_ptr(slot));
        open.push(Arc::downgrade(slot));
        let mut excess = open.len().saturating_sub(MAX_OPEN);
        let mut idle = Vec::new();
        open.retain(|held| {
            if excess == 0 {
                return true;
            }
            let Some(slot) = held.upgrade() else {
                excess -= 1;
                return false;
            };
            // The database is in use, so it stays. There are at most MAX_RUNNING of
            // these.
            let Ok(mut connection) = slot.try_lock() else {
                return true;
            };
            excess -= 1;
            idle.push(connection.take());
            false
        });
        // Closing writes to the disk, so it must not happen under the lock that all
        // rooms share.
        drop(open);
        drop(idle);
    }
}

/// A room's database.
pub(super) struct RoomSql {
    databases: Databases,
    file: PathBuf,
    /// The room's statements run one after the other, in order.
    turn: Arc<tokio::sync::Mutex<()>>,
    slot: Arc<Slot>,
}

impl RoomSql {
    pub(super) fn new(databases: &Databases, room: &RoomName) -> Self {
        Self {
            databases: databases.clone(),
            file: file(&databases.0.folder, room),
            turn: Arc::default(),
            slot: Arc::default(),
        }
    }
}

impl SqlPort for RoomSql {
    fn execute<'a>(
        &'a self,
        statement: &'a str,
        parameters: Vec<SqlValue>,
    ) -> BoxFuture<'a, Result<Rows, SqlError>> {
        Box::pin(async move {
            // First the room's own turn, so that a room holds only one permit.
            let turn = Arc::clone(&self.turn).lock_owned().await;
            let permit = Arc::clone(&self.databases.0.running)
                .acquire_owned()
                .await
                .map_err(|_| closed())?;
            let databases = self.databases.clone();
            let (file, slot) = (self.file.clone(), Arc::clone(&self.slot));
            let statement = statement.to_owned();
            let work = move || {
                let outcome = run(&databases, &slot, &file, &statement, parameters);
                databases.used(&slot);
                // The room may be gone. Then this closes its database.
                drop(slot);
                drop((turn, permit));
                outcome
            };
            let ended = tokio::task::spawn_blocking(work).await;
            ended.map_err(|error| StorageError::Unavailable(error.to_string()))?
        })
    }
}

impl Drop for RoomSql {
    /// Closing writes to the disk, and that must not hold up the room's thread. Until
    /// it is closed, the database counts as open.
    fn drop(&mut self) {
        // If the lock is held, a statement is running, and its end closes the database.
        if self.slot.try_lock().is_ok_and(|slot| slot.is_some())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let slot = Arc::clone(&self.slot);
            runtime.spawn_blocking(move || close(&slot));
        }
    }
}

fn close(slot: &Slot) {
    *lock(slot) = None;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(
    databases: &Databases,
    slot: &Slot,
    file: &Path,
    statement: &str,
    parameters: Vec<SqlValue>,
) -> Result<Rows, SqlError> {
    let mut slot = lock(slot);
    let db = match &mut *slot {
        Some(db) => db,
        none => none.insert(open(file)?),
    };
    let shared = Arc::clone(&databases.0);
    let is_closing = move || shared.is_closing.load(Ordering::Relaxed);
    match statement::execute(db, is_closing, statement, parameters) {
        Err(SqlError::Statement(_)) if databases.0.is_closing.load(Ordering::Relaxed) => {
            Err(closed().into())
        }
        outcome => outcome,
    }
}

fn open(file: &Path) -> Result<Connection, StorageError> {
    let unavailable = |error: std::io::Error| StorageError::Unavailable(error.to_string());
    if let Some(parent) = file.parent() {
        folder::make(parent).map_err(unavailable)?;
    }
    if let Some(reason) = log::damage(file).map_err(unavailable)? {
        let reason = format!("{} is damaged: {reason}", file.display());
        return Err(StorageError::Unavailable(reason));
    }
    folder::open_private(file).map_err(unavailable)?;
    let prepare = || -> rusqlite::Result<Connection> {
        let mut db = Connection::open(file)?;
        schema::set_durable(&db)?;
        statement::confine(&mut db)?;
        Ok(db)
    };
    prepare().map_err(|error| storage_error(&error))
}

/// A room's name is text from a stranger. Its hash is a safe file name for every room:
/// it always has the same length and case, and no two rooms share one.
fn file(folder: &Path, room: &RoomName) -> PathBuf {
    use std::fmt::Write as _;

    let mut hash = Sha256::new();
    hash.update(room.party.as_bytes());
    hash.update([0]);
    hash.update(room.room.as_bytes());
    let mut name = String::with_capacity(72);
    for byte in hash.finalize() {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name.push_str(".sqlite3");
    folder.join(name)
}

/// How many databases are open at most, apart from those in use. Each takes up to three
/// descriptors.
const MAX_OPEN: usize = 128;
/// How many statements run at once. Others wait for their turn.
const MAX_RUNNING: usize = 16;
