//! A room's storage, in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::kit::lock;
use crate::host::{Change, SqlPort, StoragePort, UpdateStep};
use crate::maybe_send::BoxFuture;
use crate::room::sql::{Rows, SqlError, SqlValue};
use crate::room::storage::StorageError;

/// Keys and their JSON texts. They last as long as the kit.
#[derive(Default)]
pub(super) struct MemoryKeys(Mutex<BTreeMap<String, String>>);

impl StoragePort for MemoryKeys {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, StorageError>> {
        let value = lock(&self.0).get(key).cloned();
        Box::pin(std::future::ready(Ok(value)))
    }

    fn keys<'a>(
        &'a self,
        prefix: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        let keys = lock(&self.0);
        let keys = keys
            .keys()
            .filter(|key| key.starts_with(prefix))
            .take(limit)
            .cloned()
            .collect();
        Box::pin(std::future::ready(Ok(keys)))
    }

    fn update<'a>(
        &'a self,
        key: &'a str,
        step: UpdateStep,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let mut keys = lock(&self.0);
        match step(keys.get(key).map(String::as_str)) {
            Change::Keep => {}
            Change::Put(text) => {
                keys.insert(key.to_owned(), text);
            }
            Change::Delete => {
                keys.remove(key);
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A room under test has no SQL. Use a real host to test it.
pub(super) struct NoSql;

impl SqlPort for NoSql {
    fn execute<'a>(
        &'a self,
        _: &'a str,
        _: Vec<SqlValue>,
    ) -> BoxFuture<'a, Result<Rows, SqlError>> {
        let error = StorageError::Unavailable("a test room has no SQL".into());
        Box::pin(std::future::ready(Err(error.into())))
    }
}
