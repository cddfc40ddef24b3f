//! A room's values in memory, by type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Values of a room by their type, for wrappers: what one hook puts here, every
/// task with a handle to the room finds. In memory only.
#[derive(Default)]
pub struct Locals(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Locals {
    /// Keeps a value, in place of an earlier one of its type.
    pub fn insert<T: Any + Send + Sync>(&self, value: T) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(TypeId::of::<T>(), Arc::new(value));
    }

    /// The value of this type.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(values.get(&TypeId::of::<T>())?).downcast().ok()
    }
}

impl fmt::Debug for Locals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locals")
    }
}
