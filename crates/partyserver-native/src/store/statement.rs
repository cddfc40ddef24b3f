//! One statement of a room's code: what it may do, and for how long.

use std::time::{Duration, Instant};

use partyserver::{Rows, SqlError, SqlValue};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, params_from_iter};

use super::error::storage_error;

/// Limits a connection to its own file and settings.
pub(super) fn confine(db: &mut Connection) -> rusqlite::Result<()> {
    db.authorizer(Some(authorize))
}

/// Refuses what reaches other files (`ATTACH`, and `VACUUM INTO`, which attaches), what
/// changes settings, and transactions. A statement is a transaction already, and a
/// longer one would last beyond the call that began it. Durable Objects refuse the
/// same.
fn authorize(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Pragma { pragma_name, .. } if DESCRIPTIONS.contains(&pragma_name) => {
            Authorization::Allow
        }
        // Full-text and R-tree tables use these pragmas themselves.
        AuthAction::Pragma {
            pragma_name: "data_version" | "page_size",
            pragma_value: None,
        } => Authorization::Allow,
        AuthAction::Attach { .. }
        | AuthAction::Detach { .. }
        | AuthAction::Pragma { .. }
        | AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. } => Authorization::Deny,
        _ => Authorization::Allow,
    }
}

/// Runs a statement to its last row, unless it takes too long or `is_closing`.
pub(super) fn execute(
    db: &mut Connection,
    is_closing: impl Fn() -> bool + Send + 'static,
    statement: &str,
    parameters: Vec<SqlValue>,
) -> Result<Rows, SqlError> {
    let deadline = Instant::now() + STATEMENT_LIMIT;
    let stop = move || is_closing() || Instant::now() > deadline;
    db.progress_handler(STEPS_BETWEEN_CHECKS, Some(stop))
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

/// Distinguishes a wrong statement from a database that can't be used.
fn failed(error: rusqlite::Error) -> SqlError {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::DatabaseBusy
            | ErrorCode::OutOfMemory,
        ) => storage_error(&error).into(),
        Some(ErrorCode::OperationInterrupted) => SqlError::Statement(format!(
            "it ran for more than {} s",
            STATEMENT_LIMIT.as_secs()
        )),
        _ => SqlError::Statement(error.to_string()),
    }
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
/// Counted in steps of SQLite's virtual machine: about a millisecond.
const STEPS_BETWEEN_CHECKS: i32 = 100_000;
/// Pragmas that only describe the database.
const DESCRIPTIONS: &[&str] = &[
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "table_info",
    "table_list",
    "table_xinfo",
];
