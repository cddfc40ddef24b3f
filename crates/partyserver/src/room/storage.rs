//! A room's key-value storage.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::maybe_send::MaybeSend;
use crate::room::port::StoragePort;

/// The key-value storage of one room. Values are JSON.
///
/// A write is durable when it returns: by then it is on disk. A key has at most 2,048
/// bytes, a value at most 2 MiB of JSON text, as on Durable Objects. Keys that begin
/// with `__ps_` belong to the host. On Workers an integer beyond 2^53 is refused,
/// because JavaScript would round it.
#[derive(Clone)]
pub struct Storage(Arc<dyn StoragePort>);

impl Storage {
    pub(crate) fn new(port: Arc<dyn StoragePort>) -> Self {
        Self(port)
    }

    /// The value under a key.
    ///
    /// # Errors
    /// [`StorageError::Json`] when the value is not a `T`, and when the store
    /// can't be read.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StorageError> {
        check_key(key)?;
        let Some(text) = self.0.get(key).await? else {
            return Ok(None);
        };
        Ok(Some(serde_json::from_str(&text)?))
    }

    /// Stores a value, in place of an earlier one.
    ///
    /// # Errors
    /// When a limit is broken or the store can't be written. Then the earlier value is
    /// kept.
    pub async fn put(&self, key: &str, value: &impl Serialize) -> Result<(), StorageError> {
        check_key(key)?;
        let text = to_json(value)?;
        self.0
            .update(key, Box::new(move |_| Change::Put(text)))
            .await
    }

    /// Removes a key; no error when it is not there.
    ///
    /// # Errors
    /// When the store can't be written.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        check_key(key)?;
        self.0.update(key, Box::new(|_| Change::Delete)).await
    }

    /// The keys that begin with a prefix, in byte order, at most `limit`.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn keys(&self, prefix: &str, limit: usize) -> Result<Vec<String>, StorageError> {
        self.0.keys(prefix, limit).await
    }

    /// Reads a key and changes it in one atomic step. When several updates of one key
    /// run at the same time, each sees the outcome of the one before.
    ///
    /// `update` gets the present value. It returns what to do with the key, and an
    /// answer for the caller. It must not wait and must not call the storage.
    ///
    /// # Errors
    /// The errors of [`Storage::get`] and [`Storage::put`]; then nothing changed.
    pub async fn update<T, R>(
        &self,
        key: &str,
        update: impl FnOnce(Option<T>) -> (Update<T>, R) + MaybeSend + 'static,
    ) -> Result<R, StorageError>
    where
        T: Serialize + DeserializeOwned + MaybeSend + 'static,
        R: Send + 'static,
    {
        check_key(key)?;
        let answer = Arc::new(std::sync::Mutex::new(None));
        let slot = Arc::clone(&answer);
        let step = move |current: Option<&str>| {
            let outcome = apply(current, update);
            let (change, answer) = match outcome {
                Ok((change, answer)) => (change, Ok(answer)),
                Err(error) => (Change::Keep, Err(error)),
            };
            *slot
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(answer);
            change
        };
        self.0.update(key, Box::new(step)).await?;
        let answer = answer
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        answer.unwrap_or(Err(StorageError::Unavailable(
            "the update did not run".into(),
        )))
    }
}

/// What an update does with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update<T> {
    /// Leave it.
    Keep,
    /// Store this value.
    Put(T),
    /// Remove the key.
    Delete,
}

/// For hosts: an [`Update`] as JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Leave the key.
    Keep,
    /// Store this JSON text.
    Put(String),
    /// Remove the key.
    Delete,
}

/// For hosts: the step of an atomic update. It gets the present JSON text and returns
/// the change.
pub type UpdateStep = Box<dyn StorageStep>;

/// What an [`UpdateStep`] is made of: any function of this shape, `Send` natively.
pub trait StorageStep: FnOnce(Option<&str>) -> Change + MaybeSend {}
impl<F: FnOnce(Option<&str>) -> Change + MaybeSend> StorageStep for F {}

/// Why the storage refused or failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The key is empty, over 2,048 bytes, or begins with `__ps_`. The caller is
    /// at fault.
    #[error("a key must have 1 to 2048 bytes and not begin with __ps_")]
    Key,
    /// The value's JSON is over 2 MiB. The caller is at fault.
    #[error("a value must have at most 2 MiB of JSON")]
    ValueTooLarge,
    /// The value is not JSON, or not of the expected type.
    #[error("the value is not of the expected type: {0}")]
    Json(Arc<serde_json::Error>),
    /// The disk is full. Reads still work; writes work again when there is room.
    #[error("the disk is full")]
    Full,
    /// The store can't be reached, is damaged, or the server is stopping.
    #[error("the storage is not available: {0}")]
    Unavailable(String),
}

impl From<serde_json::Error> for StorageError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(Arc::new(error))
    }
}

/// For hosts: keys with this prefix belong to the host. No code of a room reaches them.
pub const RESERVED: &str = "__ps_";

const MAX_KEY_BYTES: usize = 2048;
const MAX_VALUE_BYTES: usize = 2 * 1024 * 1024;

fn check_key(key: &str) -> Result<(), StorageError> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES || key.starts_with(RESERVED) {
        Err(StorageError::Key)
    } else {
        Ok(())
    }
}

fn to_json(value: &impl Serialize) -> Result<String, StorageError> {
    let text = serde_json::to_string(value)?;
    if text.len() > MAX_VALUE_BYTES {
        Err(StorageError::ValueTooLarge)
    } else {
        Ok(text)
    }
}

fn apply<T: Serialize + DeserializeOwned, R>(
    current: Option<&str>,
    update: impl FnOnce(Option<T>) -> (Update<T>, R),
) -> Result<(Change, R), StorageError> {
    let current = current.map(serde_json::from_str).transpose()?;
    let (change, answer) = update(current);
    let change = match change {
        Update::Keep => Change::Keep,
        Update::Put(value) => Change::Put(to_json(&value)?),
        Update::Delete => Change::Delete,
    };
    Ok((change, answer))
}
