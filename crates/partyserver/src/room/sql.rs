//! A room's own SQL database (SQLite on every host).

use std::sync::Arc;

use crate::room::port::SqlPort;
use crate::room::storage::StorageError;

/// The SQL database of one room. It is made when it is first used.
///
/// A statement reaches this database alone. `ATTACH`, its own transactions and `PRAGMA`
/// are refused, except the pragmas that describe the database.
#[derive(Clone)]
pub struct Sql(Arc<dyn SqlPort>);

impl Sql {
    pub(crate) fn new(port: Arc<dyn SqlPort>) -> Self {
        Self(port)
    }

    /// Runs one statement with its parameters (`?1`, `?2`, …) and returns all of its
    /// rows, so all of them are in memory then. The change is durable when this
    /// returns. On one machine a statement is ended after 30 s.
    ///
    /// Never build a statement from what a client sent. Pass such values as parameters.
    ///
    /// # Errors
    /// [`SqlError`] when the statement is wrong, breaks a constraint, or can't
    /// be run.
    pub async fn execute(
        &self,
        statement: &str,
        parameters: impl IntoIterator<Item = SqlValue>,
    ) -> Result<Rows, SqlError> {
        self.0
            .execute(statement, parameters.into_iter().collect())
            .await
    }
}

/// The rows of a statement.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Rows {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, each with a value per column.
    pub rows: Vec<Vec<SqlValue>>,
}

impl Rows {
    /// For hosts: rows of a result.
    pub fn new(columns: Vec<String>, rows: Vec<Vec<SqlValue>>) -> Self {
        Self { columns, rows }
    }
}

/// A value of SQLite.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    /// `NULL`
    Null,
    /// A 64-bit integer. On Workers an integer beyond 2^53 is refused as a parameter,
    /// and rounded in a result.
    Integer(i64),
    /// A 64-bit float. On Workers a whole number comes back as an integer, because
    /// JavaScript has one kind of number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl From<i64> for SqlValue {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for SqlValue {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for SqlValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for SqlValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<u8>> for SqlValue {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for SqlValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Why a statement failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// SQLite refused the statement: its syntax, a constraint, a type.
    #[error("the statement failed: {0}")]
    Statement(String),
    /// The database can't be reached or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
