//! A room's SQL database, which is the object's own.

use js_sys::{Array, Uint8Array};
use partyserver::host::SqlPort;
use partyserver::{BoxFuture, Rows, SqlError, SqlValue, StorageError};
use wasm_bindgen::{JsCast, JsValue};
use worker_sys::types::{DurableObjectStorage, SqlStorage};

use super::storage::MAX_SAFE_INTEGER;
use crate::platform::js::error_text;

/// The database of an object whose class was made with `new_sqlite_classes`.
pub(super) struct ObjectSql(DurableObjectStorage);

impl ObjectSql {
    /// The database of an object's storage.
    pub(super) fn of(storage: &DurableObjectStorage) -> Self {
        Self(JsValue::from(storage).unchecked_into())
    }

    fn run(&self, statement: &str, parameters: Vec<SqlValue>) -> Result<Rows, SqlError> {
        let sql: JsValue = js_sys::Reflect::get(&self.0, &"sql".into()).map_err(|thrown| {
            // The platform throws for classes without SQLite.
            SqlError::Storage(StorageError::Unavailable(error_text(&thrown)))
        })?;
        let sql: SqlStorage = sql.unchecked_into();
        let bindings = parameters.into_iter().map(to_js);
        let bindings: Array = bindings.collect::<Result<_, _>>()?;
        let cursor = sql
            .exec(statement, bindings)
            .map_err(|thrown| SqlError::Statement(error_text(&thrown)))?;
        let columns = cursor.column_names().into_iter();
        let columns = columns.map(|name| name.as_string().unwrap_or_default());
        let columns: Vec<String> = columns.collect();
        let mut rows = Vec::new();
        let raw = cursor.raw();
        loop {
            let next = raw
                .next()
                .map_err(|thrown| SqlError::Statement(error_text(&thrown)))?;
            if next.done() {
                return Ok(Rows::new(columns, rows));
            }
            let row: Array = next.value().unchecked_into();
            rows.push(row.iter().map(from_js).collect());
        }
    }
}

impl SqlPort for ObjectSql {
    fn execute<'a>(
        &'a self,
        statement: &'a str,
        parameters: Vec<SqlValue>,
    ) -> BoxFuture<'a, Result<Rows, SqlError>> {
        Box::pin(std::future::ready(self.run(statement, parameters)))
    }
}

fn to_js(value: SqlValue) -> Result<JsValue, SqlError> {
    Ok(match value {
        SqlValue::Null => JsValue::NULL,
        SqlValue::Integer(value) if value.unsigned_abs() > MAX_SAFE_INTEGER => {
            let problem = format!("{value} is no number of JavaScript, which binds it");
            return Err(SqlError::Statement(problem));
        }
        SqlValue::Integer(value) => JsValue::from_f64(value as f64),
        SqlValue::Real(value) => JsValue::from_f64(value),
        SqlValue::Text(value) => JsValue::from_str(&value),
        SqlValue::Blob(value) => Uint8Array::from(&value[..]).buffer().into(),
    })
}

/// The platform tells integers and floats apart by their value alone.
fn from_js(value: JsValue) -> SqlValue {
    if let Some(text) = value.as_string() {
        return SqlValue::Text(text);
    }
    if let Some(number) = value.as_f64() {
        let is_integer = number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER as f64;
        return if is_integer {
            SqlValue::Integer(number as i64)
        } else {
            SqlValue::Real(number)
        };
    }
    if value.is_null() || value.is_undefined() {
        return SqlValue::Null;
    }
    SqlValue::Blob(Uint8Array::new(&value).to_vec())
}
