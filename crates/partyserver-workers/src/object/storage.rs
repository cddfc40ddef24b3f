//! A room's key-value storage, which is the object's own.
//!
//! Values are stored in the platform's form (structured clones). So values that a
//! JavaScript class has written can be read as JSON, and the other way round.

use std::rc::{Rc, Weak};
use std::sync::Arc;

use partyserver::host::{Change, RESERVED, StoragePort, UpdateStep};
use partyserver::{BoxFuture, StorageError};
use serde::de::Error as _;
use serde_json::Value;
use wasm_bindgen::{JsCast, JsValue};
use worker_sys::types::DurableObjectStorage;

use super::turns::{Turn, Turns};
use crate::platform::js::{error_text, settled};
use crate::platform::task::{self, Held};

/// The storage of one object.
pub(super) struct ObjectStorage {
    storage: DurableObjectStorage,
    /// One update at a time, because other events run while an update waits.
    updates: Rc<Turns>,
}

impl ObjectStorage {
    pub(super) fn new(storage: DurableObjectStorage) -> Arc<Self> {
        Arc::new(Self {
            storage,
            updates: Rc::default(),
        })
    }

    pub(super) fn as_js(&self) -> &DurableObjectStorage {
        &self.storage
    }

    /// Stores a text for the host itself. The write has begun when this returns.
    pub(super) fn keep(
        &self,
        key: &str,
        text: &str,
    ) -> impl Future<Output = Result<(), StorageError>> + use<> {
        let promise = self.storage.put(key, text.into());
        async move { settled(promise).await.map_err(unavailable).map(|_| ()) }
    }

    /// The host's own keys that begin with `prefix`.
    pub(super) async fn kept_keys(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        let options = js_sys::Object::new();
        set(&options, "prefix", &prefix.into());
        Ok(self.list(options).await?.collect())
    }

    async fn list(
        &self,
        options: js_sys::Object,
    ) -> Result<impl Iterator<Item = String> + use<>, StorageError> {
        let listed = settled(self.storage.list_with_options(options)).await;
        let listed: js_sys::Map = listed.map_err(unavailable)?.unchecked_into();
        let keys = listed.keys().into_iter();
        Ok(keys.filter_map(|key| key.ok()?.as_string()))
    }

    /// Deletes a text that was kept.
    pub(super) fn forget(&self, key: &str) {
        let _ = self.storage.delete(key);
    }

    /// A text that was kept.
    pub(super) async fn kept(&self, key: &str) -> Option<String> {
        settled(self.storage.get(key)).await.ok()?.as_string()
    }

    async fn read(&self, key: &str) -> Result<Option<String>, StorageError> {
        let value = settled(self.storage.get(key)).await.map_err(unavailable)?;
        if value.is_undefined() {
            return Ok(None);
        }
        let text = js_sys::JSON::stringify(&value).map_err(unavailable)?;
        Ok(text.as_string())
    }

    async fn write(&self, key: &str, change: Change) -> Result<(), StorageError> {
        let promise = match change {
            Change::Keep => return Ok(()),
            Change::Put(text) => {
                check_integers(&text)?;
                let value = js_sys::JSON::parse(&text).map_err(unavailable)?;
                self.storage.put(key, value)
            }
            Change::Delete => self.storage.delete(key),
        };
        settled(promise).await.map_err(unavailable).map(|_| ())
    }
}

impl StoragePort for ObjectStorage {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, StorageError>> {
        Box::pin(self.read(key))
    }

    fn keys<'a>(
        &'a self,
        prefix: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        Box::pin(async move {
            let mut keys: Vec<String> = Vec::new();
            let mut after: Option<String> = None;
            // The host's own keys are left out, so a page may have fewer keys than
            // asked for.
            while keys.len() < limit {
                let page = (limit - keys.len()).min(MAX_PAGE);
                let options = js_sys::Object::new();
                set(&options, "prefix", &prefix.into());
                set(&options, "limit", &(page as u32).into());
                if let Some(after) = &after {
                    set(&options, "startAfter", &after.as_str().into());
                }
                let mut count = 0;
                for key in self.list(options).await? {
                    count += 1;
                    after = Some(key.clone());
                    if !key.starts_with(RESERVED) {
                        keys.push(key);
                    }
                }
                if count < page {
                    break;
                }
            }
            Ok(keys)
        })
    }

    fn update<'a>(
        &'a self,
        key: &'a str,
        step: UpdateStep,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            let turn = self.updates.turn();
            // The application's code may panic, in the step or elsewhere in the task.
            let held: Weak<dyn Held> = Rc::downgrade(&turn) as _;
            task::guard(held);
            turn.begin().await;
            let present = self.read(key).await?;
            self.write(key, step(present.as_deref())).await
        })
    }
}

impl Held for Turn {
    fn give_back(&self) {
        self.end();
    }
}

/// Refuses integers beyond 2^53, because JavaScript would round them.
fn check_integers(text: &str) -> Result<(), StorageError> {
    let mut digits = text.as_bytes().split(|byte| !byte.is_ascii_digit());
    if !digits.any(|digits| digits.len() > 15) {
        return Ok(());
    }
    if has_unsafe_integer(&serde_json::from_str(text)?) {
        let problem = "an integer beyond 2^53 can't be stored as a number here";
        return Err(serde_json::Error::custom(problem).into());
    }
    Ok(())
}

fn has_unsafe_integer(value: &Value) -> bool {
    match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            let size = number.as_i64().map_or(u64::MAX, i64::unsigned_abs);
            size > MAX_SAFE_INTEGER
        }
        Value::Array(items) => items.iter().any(has_unsafe_integer),
        Value::Object(members) => members.values().any(has_unsafe_integer),
        _ => false,
    }
}

pub(super) fn set(object: &js_sys::Object, name: &str, value: &JsValue) {
    // Setting a member of a plain object can't fail.
    let _ = js_sys::Reflect::set(object, &name.into(), value);
}

pub(super) fn unavailable(thrown: JsValue) -> StorageError {
    let text = error_text(&thrown);
    if text.contains("SQLITE_FULL") {
        StorageError::Full
    } else {
        StorageError::Unavailable(text)
    }
}

const MAX_PAGE: usize = 1000;
/// The last integer up to which JavaScript counts exactly.
pub(super) const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
