//! A room's own SQL database, in a file of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use partyserver::host::SqlPort;
use partyserver::{BoxFuture, Rows, SqlError, SqlValue, StorageError};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, params_from_iter};
use sha2::{Digest, Sha256};

use super::{RoomName, storage_error};

pub(super) struct RoomSql {
    file: PathBuf,
    db: Arc<Mutex<Option<Connection>>>,
}

impl RoomSql {
    pub(super) fn new(folder: &Path, room: &RoomName) -> Self {
        // A room's name is a stranger's text. Its hash is a safe file name
        // whatever the name is, and no two names share one.
        let mut hash = Sha256::new();
        hash.update(room.party.as_bytes());
        hash.update([0]);
        hash.update(room.room.as_bytes());
        let name: String = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let file = folder.join("sql").join(format!("{name}.sqlite3"));
        Self {
            file,
            db: Arc::default(),
        }
    }
}

impl SqlPort for RoomSql {
    fn execute<'a>(
        &'a self,
        statement: &'a str,
        parameters: Vec<SqlValue>,
    ) -> BoxFuture<'a, Result<Rows, SqlError>> {
        let (file, db) = (self.file.clone(), Arc::clone(&self.db));
        let statement = statement.to_owned();
        Box::pin(async move {
            let work = move || {
                let mut db = db.lock().unwrap_or_else(PoisonError::into_inner);
                if db.is_none() {
                    *db = Some(open(&file)?);
                }
                match &mut *db {
                    Some(db) => execute(db, &statement, parameters),
                    None => unreachable!("the database was opened above"),
                }
            };
            let ended = tokio::task::spawn_blocking(work).await;
            ended.map_err(|error| StorageError::Unavailable(error.to_string()))?
        })
    }
}

fn open(file: &Path) -> Result<Connection, SqlError> {
    let unavailable = |error: std::io::Error| StorageError::Unavailable(error.to_string());
    if let Some(folder) = file.parent() {
        super::make_folder(folder).map_err(unavailable)?;
    }
    let mut db = Connection::open(file).map_err(|error| storage_error(&error))?;
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
        .map_err(|error| storage_error(&error))?;
    db.authorizer(Some(authorize))
        .map_err(|error| storage_error(&error))?;
    Ok(db)
}

/// A room's statements reach its own file alone, and change no settings.
fn authorize(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Attach { .. } | AuthAction::Detach { .. } | AuthAction::Pragma { .. } => {
            Authorization::Deny
        }
        _ => Authorization::Allow,
    }
}

fn execute(
    db: &mut Connection,
    statement: &str,
    parameters: Vec<SqlValue>,
) -> Result<Rows, SqlError> {
    let failed = |error: rusqlite::Error| match storage_error(&error) {
        StorageError::Full => SqlError::from(StorageError::Full),
        _ => SqlError::Statement(error.to_string()),
    };
    let deadline = Instant::now() + STATEMENT_LIMIT;
    db.progress_handler(
        STEPS_BETWEEN_CHECKS,
        Some(move || Instant::now() > deadline),
    )
    .map_err(failed)?;
    let mut prepared = db.prepare_cached(statement).map_err(failed)?;
    let columns: Vec<String> = prepared.column_names().map(str::to_owned).collect();
    let width = columns.len();
    let mut rows = prepared
        .query(params_from_iter(parameters.into_iter().map(Parameter)))
        .map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let values: rusqlite::Result<Vec<SqlValue>> = (0..width)
            .map(|index| row.get_ref(index).map(from_sqlite))
            .collect();
        found.push(values.map_err(failed)?);
    }
    Ok(Rows::new(columns, found))
}

struct Parameter(SqlValue);

impl rusqlite::ToSql for Parameter {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match &self.0 {
            SqlValue::Null => ToSqlOutput::Owned(Value::Null),
            SqlValue::Integer(value) => ToSqlOutput::Owned(Value::Integer(*value)),
            SqlValue::Real(value) => ToSqlOutput::Owned(Value::Real(*value)),
            SqlValue::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            SqlValue::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

fn from_sqlite(value: ValueRef<'_>) -> SqlValue {
    match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(value) => SqlValue::Integer(value),
        ValueRef::Real(value) => SqlValue::Real(value),
        ValueRef::Text(text) => SqlValue::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => SqlValue::Blob(bytes.to_vec()),
    }
}

/// How long one statement may run.
const STATEMENT_LIMIT: Duration = Duration::from_secs(30);
const STEPS_BETWEEN_CHECKS: i32 = 100_000;
